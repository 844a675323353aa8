using System.Runtime.Intrinsics.X86;

namespace Sora.Kernels;

/// <summary>What the processor can do, as far as it decides how to compute.</summary>
public static class Processor
{
    private const int Features = 7;
    private const int Bf16OfAvx512 = 1 << 5;
    private const int Bf16OfAmx = 1 << 22;

    /// <summary>Whether there are instructions for bfloat16 products (AVX512-BF16 or AMX): without, float32 is far faster.</summary>
    public static bool HasBfloat16 { get; } = FindBfloat16();

    private static bool FindBfloat16()
    {
        if (!Avx512F.IsSupported || X86Base.CpuId(0, 0).Eax < Features)
            return false;
        return (X86Base.CpuId(Features, 0).Edx & Bf16OfAmx) != 0 || (X86Base.CpuId(Features, 1).Eax & Bf16OfAvx512) != 0;
    }
}
