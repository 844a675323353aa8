namespace Sora.Tensors;

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

    /// <summary>Blocks of 32: a scale, and 4 bits from -8 on.</summary>
    Q4_0,

    /// <summary>Blocks of 32: a scale and a minimum, and 4 bits.</summary>
    Q4_1,

    /// <summary>Blocks of 32: a scale, and 5 bits from -16 on.</summary>
    Q5_0,

    /// <summary>Blocks of 32: a scale and a minimum, and 5 bits.</summary>
    Q5_1,

    /// <summary>Blocks of 32: a scale, and 8 bits.</summary>
    Q8_0,

    /// <summary>Blocks of 256: 2 bits, scales and minima of 4 bits for every 16.</summary>
    Q2_K,

    /// <summary>Blocks of 256: 3 bits, scales of 6 bits for every 16.</summary>
    Q3_K,

    /// <summary>Blocks of 256: 4 bits, scales and minima of 6 bits for every 32.</summary>
    Q4_K,

    /// <summary>Blocks of 256: 5 bits, scales and minima of 6 bits for every 32.</summary>
    Q5_K,

    /// <summary>Blocks of 256: 6 bits, scales of 8 bits for every 16.</summary>
    Q6_K,

    /// <summary>Blocks of 32: a scale, and 4 bits into a table.</summary>
    IQ4_NL,

    /// <summary>Blocks of 256: 4 bits into a table, scales of 6 bits for every 32.</summary>
    IQ4_XS,
}

/// <summary>Names and sizes of <see cref="DType"/>.</summary>
public static class DTypes
{
    private static readonly (DType Type, string Name, int Bytes, int Elements)[] Table =
    [
        (DType.F64, "F64", 8, 1),
        (DType.F32, "F32", 4, 1),
        (DType.F16, "F16", 2, 1),
        (DType.BF16, "BF16", 2, 1),
        (DType.F8E4M3, "F8_E4M3", 1, 1),
        (DType.F8E5M2, "F8_E5M2", 1, 1),
        (DType.I64, "I64", 8, 1),
        (DType.I32, "I32", 4, 1),
        (DType.I16, "I16", 2, 1),
        (DType.I8, "I8", 1, 1),
        (DType.U64, "U64", 8, 1),
        (DType.U32, "U32", 4, 1),
        (DType.U16, "U16", 2, 1),
        (DType.U8, "U8", 1, 1),
        (DType.Bool, "BOOL", 1, 1),
        (DType.Q4_0, "Q4_0", 18, 32),
        (DType.Q4_1, "Q4_1", 20, 32),
        (DType.Q5_0, "Q5_0", 22, 32),
        (DType.Q5_1, "Q5_1", 24, 32),
        (DType.Q8_0, "Q8_0", 34, 32),
        (DType.Q2_K, "Q2_K", 84, 256),
        (DType.Q3_K, "Q3_K", 110, 256),
        (DType.Q4_K, "Q4_K", 144, 256),
        (DType.Q5_K, "Q5_K", 176, 256),
        (DType.Q6_K, "Q6_K", 210, 256),
        (DType.IQ4_NL, "IQ4_NL", 18, 32),
        (DType.IQ4_XS, "IQ4_XS", 136, 256),
    ];

    /// <summary>The name in a safetensors header, such as <c>F8_E4M3</c>; for types quantised in blocks, GGUF's.</summary>
    public static string Name(this DType type) => Table[(int)type].Name;

    /// <summary>How many elements share a block; 1 for every type that is not quantised in blocks.</summary>
    public static int BlockElements(this DType type) => Table[(int)type].Elements;

    /// <summary>Bytes of one block: of one element, where a block is one element.</summary>
    public static int BlockBytes(this DType type) => Table[(int)type].Bytes;

    /// <summary>True for the floating-point types, and for those quantised in blocks.</summary>
    public static bool IsFloat(this DType type) => type <= DType.F8E5M2 || IsBlocks(type);

    /// <summary>True for the types quantised in blocks, which only GGUF files hold.</summary>
    public static bool IsBlocks(this DType type) => type > DType.Bool;

    /// <summary>The type with this name in a safetensors header; null when there is none.</summary>
    public static DType? Parse(string name)
    {
        foreach (var entry in Table)
        {
            if (entry.Name == name && !entry.Type.IsBlocks())
                return entry.Type;
        }
        return null;
    }
}
