using static TorchSharp.torch;

namespace Sora.Nn;

/// <summary>
/// Shows intermediate results by name, to compare them with another implementation's; usually nobody looks.
/// </summary>
internal readonly record struct Trace(Action<string, Tensor>? Observer, string Name = "")
{
    /// <summary>Ends every name.</summary>
    public string Suffix { get; init; } = "";

    /// <summary>The trace of a part.</summary>
    public Trace Of(string part) => Observer is null ? default : this with { Name = Name == "" ? part : $"{Name}.{part}" };

    /// <summary>The trace of a numbered part.</summary>
    public Trace Of(string part, int index) => Observer is null ? default : Of($"{part}.{index}");

    /// <summary>Shows <paramref name="value"/>, which the observer must copy to keep; no name means the whole part.</summary>
    public void Show(string part, Tensor value) => Observer?.Invoke((part == "" ? this : Of(part)).Name + Suffix, value);
}
