using System.Globalization;
using System.Runtime.InteropServices;
using Sora.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Planning;

/// <summary>Memory that may be used.</summary>
/// <param name="Bytes">How much.</param>
/// <param name="Where">Where it is, after "are free": empty for the machine's own.</param>
public sealed partial record FreeMemory(long Bytes, string Where)
{
    /// <summary>Of the device that computes: the card, or this machine or container.</summary>
    /// <exception cref="SoraException">The card's driver doesn't answer.</exception>
    public static FreeMemory Of(Device device) => Of(device, Machine, Card);

    /// <summary>As <see cref="Of(Device)"/>, from what these say.</summary>
    internal static FreeMemory Of(Device device, Func<long> machine, Func<int, long> card)
    {
        var index = Math.Max(0, device.index);
        return device.type == DeviceType.CUDA ? new(card(index), $" on cuda:{index}") : new(machine(), "");
    }

    /// <summary>Refuses a stage that doesn't fit, before anything is loaded.</summary>
    /// <param name="stage">What it needs.</param>
    /// <param name="advice">Says what would fit; called only if it doesn't.</param>
    /// <exception cref="SoraException">It doesn't fit; the hint is the advice.</exception>
    public void Require(StageCost stage, Func<string> advice)
    {
        if (stage.Needed <= Bytes)
            return;
        throw SoraException.Failed(
            $"{stage.Name} needs {StageCost.Size(stage.Needed)}, but only {StageCost.Size(Bytes)} is free{Where}",
            advice()
        );
    }

    private static long Machine()
    {
        var limit = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        const string Source = "/proc/meminfo";
        if (!File.Exists(Source))
            return limit;
        var line = File.ReadLines(Source).FirstOrDefault(text => text.StartsWith("MemAvailable:", StringComparison.Ordinal));
        var words = line?.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return words is [_, var kilobytes, ..] ? Math.Min(limit, long.Parse(kilobytes, CultureInfo.InvariantCulture) << 10) : limit;
    }

    /// <summary>
    /// TorchSharp doesn't say, but the driver does, for the context that
    /// libtorch computes in, with devices numbered as in libtorch.
    /// </summary>
    private static long Card(int index)
    {
        static void Check(int result)
        {
            if (result != 0)
                throw SoraException.Failed(
                    $"the NVIDIA driver doesn't report how much memory is free (error {result})",
                    "use --device cpu to compute on the CPU"
                );
        }
        Check(Initialise(0));
        Check(GetDevice(out var device, index));
        Check(Retain(out var context, device));
        Check(Push(context));
        Check(GetMemory(out var free, out _));
        Check(Pop(out _));
        Check(Release(device));
        return (long)free;
    }

    private const string Driver = "libcuda.so.1";

    [LibraryImport(Driver, EntryPoint = "cuInit")]
    private static partial int Initialise(uint flags);

    [LibraryImport(Driver, EntryPoint = "cuDeviceGet")]
    private static partial int GetDevice(out int device, int index);

    [LibraryImport(Driver, EntryPoint = "cuDevicePrimaryCtxRetain")]
    private static partial int Retain(out nint context, int device);

    [LibraryImport(Driver, EntryPoint = "cuCtxPushCurrent_v2")]
    private static partial int Push(nint context);

    [LibraryImport(Driver, EntryPoint = "cuMemGetInfo_v2")]
    private static partial int GetMemory(out nuint free, out nuint total);

    [LibraryImport(Driver, EntryPoint = "cuCtxPopCurrent_v2")]
    private static partial int Pop(out nint context);

    [LibraryImport(Driver, EntryPoint = "cuDevicePrimaryCtxRelease_v2")]
    private static partial int Release(int device);
}
