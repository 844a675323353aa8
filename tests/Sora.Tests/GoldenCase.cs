using System.Text.Json;
using Sora.Models;
using Sora.Tensors;

namespace Sora.Tests;

/// <summary>One reference case, such as <c>GoldenCase.Open("wan/t2v-forward")</c>: its inputs, expected outputs and parameters.</summary>
internal sealed class GoldenCase : IDisposable
{
    private readonly SafeTensorsFile file;

    private GoldenCase(SafeTensorsFile file)
    {
        this.file = file;
        // Python writes infinity as a bare word, which JSON does not have.
        Params = JsonDocument.Parse(file.Metadata.GetValueOrDefault("params", "{}").Replace("-Infinity", "null")).RootElement;
        Tolerance = double.Parse(file.Metadata["tolerance"]);
    }

    /// <summary>The case's metadata entry <c>params</c>.</summary>
    public JsonElement Params { get; }

    /// <summary>The largest <see cref="RelativeError"/> allowed.</summary>
    public double Tolerance { get; }

    /// <summary>The folder of the model that the case was computed with.</summary>
    public string Model => Golden.Path(file.Metadata["model"].Split('/'));

    public IReadOnlyDictionary<string, string> Metadata => file.Metadata;

    /// <summary>All tensors, under their full names (<c>in.*</c>, <c>out.*</c>).</summary>
    public SafeTensorsFile File => file;

    public IEnumerable<string> Inputs => Names("in.");

    public IEnumerable<string> Outputs => Names("out.");

    public static GoldenCase Open(string name) => new(SafeTensorsFile.Open(Golden.Path("cases", name + ".safetensors")));

    public float[] In(string name) => file.Floats("in." + name);

    public float[] Out(string name) => file.Floats("out." + name);

    public long[] InShape(string name) => file.Info("in." + name).Shape;

    public long[] OutShape(string name) => file.Info("out." + name).Shape;

    /// <summary>An integer input, such as token ids.</summary>
    public long[] InIntegers(string name) => Integers("in." + name);

    public long[] OutIntegers(string name) => Integers("out." + name);

    /// <summary>||a - b|| / ||b||, in double; infinite when something is not finite or the lengths differ.</summary>
    public static double RelativeError(ReadOnlySpan<float> actual, ReadOnlySpan<float> expected)
    {
        if (actual.Length != expected.Length)
            return double.PositiveInfinity;
        double difference = 0,
            norm = 0;
        for (var i = 0; i < actual.Length; i++)
        {
            var d = (double)actual[i] - expected[i];
            difference += d * d;
            norm += (double)expected[i] * expected[i];
        }
        var error = norm == 0 ? Math.Sqrt(difference) : Math.Sqrt(difference / norm);
        return double.IsFinite(error) ? error : double.PositiveInfinity;
    }

    public void Dispose() => file.Dispose();

    private IEnumerable<string> Names(string prefix) =>
        file.Tensors.Keys.Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).Select(name => name[prefix.Length..]);

    private long[] Integers(string name)
    {
        var tensor = file.Copy(name);
        return tensor.DType switch
        {
            DType.I64 => System.Runtime.InteropServices.MemoryMarshal.Cast<byte, long>(tensor.Data).ToArray(),
            DType.I32 => [.. System.Runtime.InteropServices.MemoryMarshal.Cast<byte, int>(tensor.Data).ToArray().Select(x => (long)x)],
            _ => throw new InvalidOperationException($"{name} is {tensor.DType.Name()}, not an integer type"),
        };
    }
}
