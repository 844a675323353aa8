namespace Sora.Media.Spatial;

/// <summary>
/// What the slices and the second layer need of a sequence parameter set (H.265, 7.3.2.2.1), and where its parts stand.
/// Only what libx265 writes for one layer of 4:2:0 is read; anything else is refused, since it would move later fields.
/// </summary>
internal sealed class SequenceParameters
{
    private readonly BitReader coding;
    private readonly int codingEnd;

    /// <summary>Reads a set.</summary>
    /// <exception cref="InvalidDataException">It has something that a stream made here doesn't have.</exception>
    public SequenceParameters(NalUnit unit)
    {
        var reader = new BitReader(unit.Payload);
        VideoSet = reader.Read(4);
        Unsupported.If(reader.Read(3) != 0, "temporal layers");
        reader.Skip(1);
        ReadProfile(reader);
        Unsupported.If(reader.ReadUnsigned() != 0, "a second sequence parameter set");
        ChromaFormat = reader.ReadUnsigned();
        Unsupported.If(ChromaFormat == 3, "4:4:4 colour");
        (Width, Height) = (reader.ReadUnsigned(), reader.ReadUnsigned());
        if (reader.ReadFlag())
            Window = [.. Enumerable.Range(0, 4).Select(_ => reader.ReadUnsigned())];
        (LumaBits, ChromaBits) = (reader.ReadUnsigned() + 8, reader.ReadUnsigned() + 8);
        OrderCountBits = (int)reader.ReadUnsigned() + 4;
        reader.Skip(1);
        Buffering = new PictureBuffering(reader.ReadUnsigned(), reader.ReadUnsigned(), reader.ReadUnsigned());
        coding = reader.From(reader.Position);
        ReadCoding(reader);
        codingEnd = reader.Position;
    }

    /// <summary>sps_video_parameter_set_id.</summary>
    public uint VideoSet { get; }

    /// <summary>general_level_idc: 30 times the level.</summary>
    public uint Level { get; private set; }

    /// <summary>chroma_format_idc: 1 is 4:2:0.</summary>
    public uint ChromaFormat { get; }

    /// <summary>Columns that are coded; a multiple of the smallest block.</summary>
    public uint Width { get; }

    /// <summary>Rows that are coded.</summary>
    public uint Height { get; }

    /// <summary>What is cut off on the left, right, top and bottom, in samples of chroma; null if nothing is.</summary>
    public uint[]? Window { get; }

    /// <summary>Bits of a luma sample.</summary>
    public uint LumaBits { get; }

    /// <summary>Bits of a chroma sample.</summary>
    public uint ChromaBits { get; }

    /// <summary>How many low bits of a picture's order count a slice names.</summary>
    public int OrderCountBits { get; }

    /// <summary>How many pictures a decoder keeps.</summary>
    public PictureBuffering Buffering { get; }

    /// <summary>Whether slices say if they use sample adaptive offset.</summary>
    public bool AdaptiveOffset { get; private set; }

    /// <summary>Whether slices say if they predict motion from another picture's.</summary>
    public bool TemporalMotion { get; private set; }

    /// <summary>
    /// The set for the second layer (F.7.3.2.2.1): number 1; sizes, colours and buffers are those of the video parameter set;
    /// of what describes the coding, the bits are the same. It has the extension that MV-HEVC's profile wants, which
    /// promises that no vector points far down in the other view (G.11.1.1); here none points into it at all.
    /// </summary>
    public NalUnit ForSecondLayer()
    {
        const uint isExtension = 7;
        var writer = new BitWriter();
        writer.Write(VideoSet, 4);
        writer.Write(isExtension, 3);
        writer.WriteUnsigned(Layers.Second);
        writer.Write(false); // update_rep_format_flag: it is the first one
        writer.WriteUnsigned((uint)OrderCountBits - 4);
        writer.Copy(coding.From(codingEnd), coding.Position);
        writer.Write(false); // vui_parameters_present_flag: colours are in the video parameter set
        writer.Write(true); // sps_extension_present_flag
        writer.Write(0b0100_0000, 8); // of the extensions, the multilayer one
        writer.Write(true); // inter_view_mv_vert_constraint_flag
        writer.Trail();
        return new NalUnit(NalType.Sps, Layers.Second, writer.ToArray());
    }

    /// <summary>profile_tier_level(1, 0) (7.3.3).</summary>
    private void ReadProfile(BitReader reader)
    {
        const int profileBits = 88;
        reader.Skip(profileBits);
        Level = reader.Read(8);
    }

    /// <summary>From log2_min_luma_coding_block_size_minus3 to strong_intra_smoothing_enabled_flag.</summary>
    private void ReadCoding(BitReader reader)
    {
        reader.SkipUnsigned(6);
        Unsupported.If(reader.ReadFlag(), "scaling lists");
        reader.Skip(1);
        AdaptiveOffset = reader.ReadFlag();
        Unsupported.If(reader.ReadFlag(), "PCM samples");
        Unsupported.If(reader.ReadUnsigned() != 0, "reference picture sets outside slices");
        Unsupported.If(reader.ReadFlag(), "long-term reference pictures");
        TemporalMotion = reader.ReadFlag();
        reader.Skip(1);
    }
}

/// <summary>Of a picture parameter set (7.3.2.3.1), what decides which fields a slice's header has.</summary>
internal sealed class PictureParameters
{
    private readonly BitReader rest;
    private readonly int end;

    /// <summary>Reads a set.</summary>
    /// <exception cref="InvalidDataException">It has something that a stream made here doesn't have.</exception>
    public PictureParameters(NalUnit unit)
    {
        var reader = new BitReader(unit.Payload);
        Unsupported.If(reader.ReadUnsigned() != 0, "a second picture parameter set");
        reader.ReadUnsigned();
        rest = reader.From(reader.Position);
        Unsupported.If(reader.ReadFlag(), "dependent slice segments");
        OutputFlag = reader.ReadFlag();
        ExtraBits = (int)reader.Read(3);
        reader.Skip(1);
        CabacInitialisation = reader.ReadFlag();
        References = reader.ReadUnsigned() + 1;
        reader.ReadUnsigned();
        reader.ReadSigned();
        reader.Skip(2);
        if (reader.ReadFlag())
            reader.ReadUnsigned();
        reader.ReadSigned();
        reader.ReadSigned();
        ChromaQuantiser = reader.ReadFlag();
        Unsupported.If(reader.Read(2) != 0, "weighted prediction");
        reader.Skip(1);
        Unsupported.If(reader.ReadFlag(), "tiles");
        EntryPoints = reader.ReadFlag();
        LoopFilterAcrossSlices = reader.ReadFlag();
        ReadDeblocking(reader);
        Unsupported.If(reader.ReadFlag(), "scaling lists");
        Unsupported.If(reader.ReadFlag(), "reordered reference lists");
        reader.ReadUnsigned();
        Unsupported.If(reader.ReadFlag(), "extensions of slice headers");
        Unsupported.If(reader.ReadFlag(), "extensions of the picture parameter set");
        end = reader.Position;
    }

    /// <summary>output_flag_present_flag.</summary>
    public bool OutputFlag { get; }

    /// <summary>num_extra_slice_header_bits.</summary>
    public int ExtraBits { get; }

    /// <summary>cabac_init_present_flag.</summary>
    public bool CabacInitialisation { get; }

    /// <summary>num_ref_idx_l0_default_active_minus1, plus 1.</summary>
    public uint References { get; }

    /// <summary>pps_slice_chroma_qp_offsets_present_flag.</summary>
    public bool ChromaQuantiser { get; }

    /// <summary>entropy_coding_sync_enabled_flag: slices say where each row of blocks begins.</summary>
    public bool EntryPoints { get; }

    /// <summary>pps_loop_filter_across_slices_enabled_flag.</summary>
    public bool LoopFilterAcrossSlices { get; }

    /// <summary>deblocking_filter_override_enabled_flag.</summary>
    public bool DeblockingOverride { get; private set; }

    /// <summary>pps_deblocking_filter_disabled_flag.</summary>
    public bool DeblockingOff { get; private set; }

    /// <summary>The set for the second layer: number 1, of the second layer's sequence parameter set, else the same.</summary>
    public NalUnit ForSecondLayer()
    {
        var writer = new BitWriter();
        writer.WriteUnsigned(Layers.Second);
        writer.WriteUnsigned(Layers.Second);
        writer.Copy(rest.From(end), rest.Position);
        writer.Trail();
        return new NalUnit(NalType.Pps, Layers.Second, writer.ToArray());
    }

    private void ReadDeblocking(BitReader reader)
    {
        if (!reader.ReadFlag())
            return;
        DeblockingOverride = reader.ReadFlag();
        DeblockingOff = reader.ReadFlag();
        if (DeblockingOff)
            return;
        reader.ReadSigned();
        reader.ReadSigned();
    }
}

/// <summary>How many pictures a decoder keeps and reorders, as the fields of H.265 count them (7.4.3.2.1).</summary>
internal readonly record struct PictureBuffering(uint PicturesMinus1, uint Reordered, uint LatencyPlus1);

/// <summary>The layers of a stereo stream.</summary>
internal static class Layers
{
    /// <summary>nuh_layer_id of the second one; its parameter sets have this number, too, since layers share their numbers.</summary>
    public const int Second = 1;
}

/// <summary>Refuses streams that other settings of the encoder would make.</summary>
internal static class Unsupported
{
    /// <summary>Throws if the stream has something.</summary>
    /// <exception cref="InvalidDataException">It has.</exception>
    public static void If(bool present, string what)
    {
        if (present)
            throw new InvalidDataException($"the encoder wrote {what}, which can't be put into a second layer");
    }
}
