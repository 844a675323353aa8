using System.Numerics;
using System.Runtime.InteropServices;
using Sora.Clips;

namespace Sora.Models.Formats;

/// <summary>
/// Low-rank changes of a model's linear layers (https://arxiv.org/abs/2106.09685), merged into the weights as they are
/// read: W' = W + w (alpha / rank) B A, where A (down) is [rank, in], B (up) is [out, rank] and w is the user's weight.
/// </summary>
public static class Lora
{
    private const int MostNamed = 5;

    /// <summary>A transformer with LoRAs merged into it; several add up.</summary>
    /// <param name="model">Under diffusers' names; disposed with the result.</param>
    /// <param name="loras">Files and weights.</param>
    /// <param name="reporter">Told which tensors were left out.</param>
    /// <exception cref="SoraException">A file is no LoRA, does not fit the model, or lacks half of a pair.</exception>
    public static TensorSource Merge(TensorSource model, IReadOnlyList<LoraOption> loras, Reporter reporter)
    {
        if (loras.Count == 0) return model;
        var merged = new LoraTensors(model);
        try
        {
            foreach (var option in loras) Add(merged, model, option, reporter);
            return merged;
        }
        catch
        {
            merged.DisposeFiles();
            throw;
        }
    }

    private static void Add(LoraTensors merged, TensorSource model, LoraOption option, Reporter reporter)
    {
        var file = LoraFile.Open(option.Path, model);
        merged.Own(file);
        var left = file.Unmatched.ToList();
        foreach (var (name, module) in file.Modules)
        {
            var weight = model.Info(name + ".weight");
            // As diffusers: whole differences of norms and convolutions are left out.
            if (weight.Shape.Length == 2 || module.Down != null) AddModule(merged, file, name, module, option);
            else left.AddRange(new[] { module.Weight, module.Bias }.OfType<string>());
        }
        if (left.Count == 0) return;
        var named = string.Join(", ", left.Take(MostNamed));
        reporter.Warn($"{option.Path}: {left.Count} of {file.Tensors.Tensors.Count} tensors are left out: {named}{(left.Count > MostNamed ? ", …" : "")}");
    }

    private static void AddModule(LoraTensors merged, LoraFile file, string name, LoraModule module, LoraOption option)
    {
        if ((module.Down == null) != (module.Up == null))
            throw SoraException.Failed($"{option.Path}: '{name}' has only half of its pair, {module.Down ?? module.Up}", "download the file again");
        var strength = option.Weight;
        if (module.Down != null)
        {
            strength *= file.Scale(name, module);
            merged.Add(name + ".weight", new LowRank(file.Tensors, module.Down, module.Up!, (float)strength));
        }
        if (module.UpBias != null) merged.Add(name + ".bias", new Difference(file.Tensors, module.UpBias, (float)strength));
        if (module.Weight != null) merged.Add(name + ".weight", new Difference(file.Tensors, module.Weight, (float)option.Weight));
        if (module.Bias != null) merged.Add(name + ".bias", new Difference(file.Tensors, module.Bias, (float)option.Weight));
    }

    /// <summary>Something that is added to a tensor.</summary>
    private abstract class Change(TensorSource lora)
    {
        protected TensorSource Lora => lora;

        /// <exception cref="SoraException">The shapes differ.</exception>
        public abstract void Check(TensorInfo target);

        public abstract void AddTo(Span<float> values, long first, TensorInfo target);

        protected SoraException DoesNotFit(TensorInfo target, string found) => SoraException.Failed(
            $"{lora.Origin}: does not fit the model: {found} for '{target.Name}', which is {Shapes.Text(target.Shape)}", "the LoRA was made for another model");
    }

    private sealed class LowRank(TensorSource lora, string down, string up, float scale) : Change(lora)
    {
        public override void Check(TensorInfo target)
        {
            var (a, b) = (Lora.Info(down), Lora.Info(up));
            var fits = a.Shape.Length >= 2 && b.Shape.Length >= 2 && a.Shape[0] > 0 && b.Elements == target.Shape[0] * a.Shape[0]
                && b.Shape[0] == target.Shape[0] && a.Elements / a.Shape[0] == target.Elements / target.Shape[0];
            if (!fits) throw DoesNotFit(target, $"{Shapes.Text(b.Shape)} times {Shapes.Text(a.Shape)}");
        }

        public override void AddTo(Span<float> values, long first, TensorInfo target)
        {
            var (a, b) = (Lora.Floats(down), Lora.Floats(up));
            var columns = (int)(target.Elements / target.Shape[0]);
            var rank = a.Length / columns;
            var product = new float[columns];
            for (var done = 0; done < values.Length;)
            {
                var (row, column) = ((int)((first + done) / columns), (int)((first + done) % columns));
                var part = values.Slice(done, Math.Min(values.Length - done, columns - column));
                Array.Clear(product);
                for (var k = 0; k < rank; k++) MultiplyAdd(b[row * rank + k], a.AsSpan(k * columns, columns), product);
                MultiplyAdd(scale, product.AsSpan(column, part.Length), part);
                done += part.Length;
            }
        }
    }

    private sealed class Difference(TensorSource lora, string name, float scale) : Change(lora)
    {
        public override void Check(TensorInfo target)
        {
            if (Lora.Info(name).Elements != target.Elements) throw DoesNotFit(target, $"'{name}' is {Shapes.Text(Lora.Info(name).Shape)}");
        }

        public override void AddTo(Span<float> values, long first, TensorInfo target)
        {
            var part = new float[values.Length];
            Lora.ReadFloats(name, first, part);
            MultiplyAdd(scale, part, values);
        }
    }

    /// <summary>sum += factor * values.</summary>
    private static void MultiplyAdd(float factor, ReadOnlySpan<float> values, Span<float> sum)
    {
        var wide = MemoryMarshal.Cast<float, Vector<float>>(values);
        var wideSum = MemoryMarshal.Cast<float, Vector<float>>(sum)[..wide.Length];
        for (var i = 0; i < wide.Length; i++) wideSum[i] += wide[i] * factor;
        for (var i = wide.Length * Vector<float>.Count; i < values.Length; i++) sum[i] += values[i] * factor;
    }

    private sealed class LoraTensors(TensorSource model) : TensorSource
    {
        private readonly Dictionary<string, List<Change>> changes = [];
        private readonly List<LoraFile> files = [];
        private readonly OrderedDictionary<string, TensorInfo> infos = new(model.Tensors);

        public override string Origin => model.Origin;

        public override IReadOnlyDictionary<string, string> Metadata => model.Metadata;

        public override IReadOnlyDictionary<string, TensorInfo> Tensors => infos;

        public override TensorInfo Stored(string name) => model.Stored(name);

        public override bool IsCompact => model.IsCompact;

        public void Own(LoraFile file) => files.Add(file);

        public void Add(string name, Change change)
        {
            var info = model.Info(name);
            change.Check(info);
            infos[name] = info with { DType = DType.F32, Bytes = info.Elements * sizeof(float) };
            if (!changes.TryGetValue(name, out var list)) changes[name] = list = [];
            list.Add(change);
        }

        public override void Read(string name, long offset, Span<byte> destination)
        {
            if (changes.ContainsKey(name)) ReadFloats(name, offset / sizeof(float), MemoryMarshal.Cast<byte, float>(destination));
            else model.Read(name, offset, destination);
        }

        public override void ReadFloats(string name, long first, Span<float> destination)
        {
            model.ReadFloats(name, first, destination);
            foreach (var change in changes.GetValueOrDefault(name, [])) change.AddTo(destination, first, infos[name]);
        }

        public void DisposeFiles()
        {
            foreach (var file in files) file.Dispose();
        }

        protected override void Dispose(bool disposing)
        {
            if (!disposing) return;
            DisposeFiles();
            model.Dispose();
        }
    }
}
