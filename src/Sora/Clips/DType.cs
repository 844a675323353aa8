namespace Sora.Clips;

/// <summary>How a stored tensor's elements are encoded.</summary>
public enum DType
{
    /// <summary>IEEE double.</summary>
    F64,

    /// <summary>IEEE single.</summary>
    F32,

    /// <summary>IEEE half.</summary>
    F16,

    /// <summary>The upper 16 bits of a single.</summary>
    BF16,

    /// <summary>1-4-3 bits, bias 7, no infinity, largest 448 (float8_e4m3fn).</summary>
    F8E4M3,

    /// <summary>1-5-2 bits, bias 15, with infinities, largest 57344.</summary>
    F8E5M2,

    /// <summary>64-bit signed.</summary>
    I64,

    /// <summary>32-bit signed.</summary>
    I32,

    /// <summary>16-bit signed.</summary>
    I16,

    /// <summary>8-bit signed.</summary>
    I8,

    /// <summary>64-bit unsigned.</summary>
    U64,

    /// <summary>32-bit unsigned.</summary>
    U32,

    /// <summary>16-bit unsigned.</summary>
    U16,

    /// <summary>8-bit unsigned.</summary>
    U8,

    /// <summary>One byte, zero or one.</summary>
    Bool,
}

/// <summary>Names and sizes of <see cref="DType"/>.</summary>
public static class DTypes
{
    private static readonly (DType Type, string Name, int Bytes)[] Table =
    [
        (DType.F64, "F64", 8), (DType.F32, "F32", 4), (DType.F16, "F16", 2), (DType.BF16, "BF16", 2),
        (DType.F8E4M3, "F8_E4M3", 1), (DType.F8E5M2, "F8_E5M2", 1),
        (DType.I64, "I64", 8), (DType.I32, "I32", 4), (DType.I16, "I16", 2), (DType.I8, "I8", 1),
        (DType.U64, "U64", 8), (DType.U32, "U32", 4), (DType.U16, "U16", 2), (DType.U8, "U8", 1),
        (DType.Bool, "BOOL", 1),
    ];

    /// <summary>The name in a safetensors header, such as <c>F8_E4M3</c>.</summary>
    public static string Name(this DType type) => Table[(int)type].Name;

    /// <summary>How many elements share a block; 1 for every type that is not quantised in blocks.</summary>
    public static int BlockElements(this DType type) => 1;

    /// <summary>Bytes of one block: of one element, where a block is one element.</summary>
    public static int BlockBytes(this DType type) => Table[(int)type].Bytes;

    /// <summary>True for the floating-point types, blocks of them included.</summary>
    public static bool IsFloat(this DType type) => type <= DType.F8E5M2;

    /// <summary>The type with this name in a safetensors header; null when there is none.</summary>
    public static DType? Parse(string name)
    {
        foreach (var entry in Table)
        {
            if (entry.Name == name) return entry.Type;
        }
        return null;
    }
}
