using Sora.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Nn;

/// <summary>Where a model computes, and in which type. The sampler itself always works in float32.</summary>
/// <param name="Device">The device.</param>
/// <param name="Type">The type of weights and activations.</param>
public sealed record Precision(Device Device, ScalarType Type)
{
    /// <summary>How much of the transformer and text encoder stays there.</summary>
    public Offload Offload { get; init; }

    /// <summary>Bytes of a number.</summary>
    public int Bytes => Type == float32 ? sizeof(float) : sizeof(short);

    /// <summary>How weights are loaded.</summary>
    public WeightsOptions Options =>
        new()
        {
            Device = Device,
            DType = Type,
            Offload = Offload,
        };

    /// <summary>The same in float32, for parts that lose too much in half: the VAE.</summary>
    public WeightsOptions Full => new() { Device = Device, DType = float32 };

    /// <summary>
    /// bfloat16 on a GPU where there is one, else float32 on the CPU, whatever
    /// its instructions, so that machines differ by rounding only.
    /// </summary>
    public static Precision Default() =>
        cuda.is_available() ? new(new Device(DeviceType.CUDA, 0), bfloat16) : new(new Device(DeviceType.CPU), float32);

    /// <summary>The same, if the device exists.</summary>
    /// <exception cref="SoraException">There is no such device.</exception>
    public Precision Required() =>
        Device.type != DeviceType.CUDA || cuda.is_available()
            ? this
            : throw SoraException.Failed(
                Libtorch.HasCuda ? "libtorch finds no NVIDIA GPU or driver" : "this build runs on the CPU only",
                Libtorch.HasCuda
                    ? "leave --device out to run on the CPU"
                    : "run install.sh where there is an NVIDIA driver, or build with dotnet build -p:Backend=cuda"
            );

    /// <summary>A type as <c>--dtype</c> names it.</summary>
    public static string NameOf(ScalarType type) =>
        type switch
        {
            ScalarType.BFloat16 => "bf16",
            ScalarType.Float16 => "f16",
            _ => "f32",
        };

    /// <summary>
    /// The device and the type that a user names, whether they exist or not.
    /// </summary>
    /// <param name="device"><c>cpu</c>, <c>cuda</c> or <c>cuda:1</c>; null for the default.</param>
    /// <param name="type"><c>f32</c>, <c>bf16</c> or <c>f16</c>; null or <c>auto</c> for the device's default.</param>
    /// <exception cref="SoraException">They name none.</exception>
    public static Precision Parse(string? device, string? type)
    {
        var chosen = device is null ? Default() : ParseDevice(device);
        return type switch
        {
            null or "auto" => chosen,
            "f32" => chosen with { Type = float32 },
            "bf16" => chosen with { Type = bfloat16 },
            "f16" => chosen with { Type = float16 },
            _ => throw SoraException.Usage($"'{type}' is not a supported type", "types are auto, f32, bf16 and f16"),
        };
    }

    private static Precision ParseDevice(string device)
    {
        if (device == "cpu")
            return new(new Device(DeviceType.CPU), float32);
        var index =
            device == "cuda" ? 0
            : device.StartsWith("cuda:", StringComparison.Ordinal) && int.TryParse(device[5..], out var given) ? given
            : -1;
        if (index < 0)
            throw SoraException.Usage($"unknown device '{device}'", "devices are cpu, cuda and cuda:N");
        return new(new Device(DeviceType.CUDA, index), bfloat16);
    }
}
