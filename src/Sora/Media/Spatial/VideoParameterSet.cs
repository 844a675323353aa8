namespace Sora.Media.Spatial;

/// <summary>
/// Makes a video parameter set of two views from that of one (H.265, 7.3.2.1 and its extension in F.7.3.2.1.1). It says the
/// same of layers, views, profiles and colours as the one of an iPhone's spatial video, but for
/// <c>default_ref_layers_active_flag</c>: each picture of the second view says here that it isn't predicted from the first.
/// </summary>
internal static class VideoParameterSet
{
    /// <summary>Profile Multiview Main (G.11.1.1).</summary>
    private const int MultiviewMain = 6;

    /// <summary>BT.709 in the tables E.3 to E.5 for primaries, transfer function and matrix.</summary>
    private const uint Bt709 = 1;

    /// <summary>Adds the second view, which has the first one's sizes and coding.</summary>
    /// <exception cref="InvalidDataException">The set has something that a stream made here doesn't have.</exception>
    public static NalUnit WithSecondView(NalUnit single, SequenceParameters sequence, PictureParameters picture)
    {
        var reader = new BitReader(single.Payload);
        var writer = new BitWriter();
        reader.Skip(6); // number, and two flags that say that the first layer is in the stream
        writer.Copy(reader, 0);
        Unsupported.If(reader.Read(6) != 0, "several layers");
        writer.Write(1, 6); // vps_max_layers_minus1
        var from = reader.Position;
        Unsupported.If(reader.Read(3) != 0, "temporal layers");
        const int nestingToLevel = 1 + 16 + 96;
        reader.Skip(nestingToLevel + 1);
        reader.SkipUnsigned(3);
        writer.Copy(reader, from);
        Unsupported.If(reader.Read(6) != 0 || reader.ReadUnsigned() != 0, "several layer sets");
        writer.Write(1, 6); // vps_max_layer_id
        writer.WriteUnsigned(1); // vps_num_layer_sets_minus1: the first layer, and both
        writer.Write(0b11, 2); // layer_id_included_flag
        Unsupported.If(reader.ReadFlag(), "timing in the video parameter set");
        writer.Write(false);
        Unsupported.If(reader.ReadFlag(), "extensions of the video parameter set");
        writer.Write(true);
        writer.Align(true);
        WriteExtension(writer, sequence, picture);
        writer.Write(false); // vps_extension2_flag
        writer.Trail();
        return new NalUnit(NalType.Vps, 0, writer.ToArray());
    }

    /// <summary>vps_extension() (F.7.3.2.1.1).</summary>
    private static void WriteExtension(BitWriter writer, SequenceParameters sequence, PictureParameters picture)
    {
        writer.Write(sequence.Level, 8); // profile_tier_level(0, 0): set 1 has the profile of set 0
        WriteViews(writer);
        writer.Write(true); // direct_dependency_flag[1][0]
        writer.Write(false); // vps_sub_layers_max_minus1_present_flag
        writer.Write(false); // max_tid_ref_present_flag
        writer.Write(false); // default_ref_layers_active_flag
        writer.WriteUnsigned(2); // vps_num_profile_tier_level_minus1
        writer.Write(true); // vps_profile_present_flag[2]
        WriteProfile(writer, sequence.Level);
        writer.WriteUnsigned(0); // num_add_olss
        writer.Write(0, 2); // default_output_layer_idc: both views are shown
        writer.Write(1, 2); // profile_tier_level_idx of the first view
        writer.Write(2, 2); // and of the second one
        writer.WriteUnsigned(0); // vps_num_rep_formats_minus1
        WriteFormat(writer, sequence);
        writer.Write(true); // max_one_active_ref_layer_flag
        writer.Write(true); // vps_poc_lsb_aligned_flag: views of a moment have the same order count
        WriteBuffering(writer, sequence.Buffering);
        writer.WriteUnsigned(0); // direct_dep_type_len_minus2
        writer.Write(true); // direct_dependency_all_layers_flag
        writer.Write(2, 2); // direct_dependency_all_layers_type: samples and motion
        writer.WriteUnsigned(0); // vps_non_vui_extension_length
        writer.Write(true); // vps_vui_present_flag
        writer.Align(true);
        WriteUsability(writer, picture.EntryPoints);
    }

    /// <summary>Layers differ by their view: the first has the identifier 0, the second 1.</summary>
    private static void WriteViews(BitWriter writer)
    {
        writer.Write(false); // splitting_flag
        writer.Write(0b0100_0000_0000_0000, 16); // scalability_mask_flag: only ViewOrderIdx (table F.1)
        writer.Write(0, 3); // dimension_id_len_minus1
        writer.Write(false); // vps_nuh_layer_id_present_flag: layers are numbered as they come
        writer.Write(1, 1); // dimension_id[1][0], the second layer's ViewOrderIdx
        writer.Write(1, 4); // view_id_len
        writer.Write(ReferenceDisplays.LeftView, 1); // view_id_val[0]
        writer.Write(ReferenceDisplays.RightView, 1); // view_id_val[1]
    }

    /// <summary>profile_tier_level(1, 0) (7.3.3) for Multiview Main, with the constraints of 8 bit 4:2:0.</summary>
    private static void WriteProfile(BitWriter writer, uint level)
    {
        writer.Write(0, 3); // general_profile_space, general_tier_flag
        writer.Write(MultiviewMain, 5);
        writer.Write(1u << (31 - MultiviewMain), 32); // general_profile_compatibility_flag
        writer.Write(0b1011, 4); // progressive, not interlaced, not packed, frames only
        writer.Write(0b1_1111_0001, 9); // at most 12, 10 and 8 bits, 4:2:2 and 4:2:0; not only grey, intra, one picture; lower rate
        writer.Write(0, 32); // general_reserved_zero_34bits, general_reserved_zero_bit
        writer.Write(0, 3);
        writer.Write(level, 8);
    }

    /// <summary>rep_format() (F.7.3.2.1.2).</summary>
    private static void WriteFormat(BitWriter writer, SequenceParameters sequence)
    {
        writer.Write(sequence.Width, 16);
        writer.Write(sequence.Height, 16);
        writer.Write(true); // chroma_and_bit_depth_vps_present_flag
        writer.Write(sequence.ChromaFormat, 2);
        writer.Write(sequence.LumaBits - 8, 4);
        writer.Write(sequence.ChromaBits - 8, 4);
        writer.Write(sequence.Window != null);
        foreach (var offset in sequence.Window ?? [])
            writer.WriteUnsigned(offset);
    }

    /// <summary>dpb_size() (F.7.3.2.1.3) of the output layer set that holds both.</summary>
    private static void WriteBuffering(BitWriter writer, PictureBuffering buffering)
    {
        writer.Write(false); // sub_layer_flag_info_present_flag
        writer.WriteUnsigned(buffering.PicturesMinus1);
        writer.WriteUnsigned(buffering.PicturesMinus1);
        writer.WriteUnsigned(buffering.Reordered);
        writer.WriteUnsigned(buffering.LatencyPlus1);
    }

    /// <summary>vps_vui() (F.7.3.2.1.4): the colours, which the second layer's sequence parameter set may not name itself.</summary>
    private static void WriteUsability(BitWriter writer, bool entryPoints)
    {
        writer.Write(0, 2); // cross_layer_pic_type_aligned_flag, cross_layer_irap_aligned_flag
        writer.Write(0, 2); // bit_rate_present_vps_flag, pic_rate_present_vps_flag
        writer.Write(true); // video_signal_info_idx_present_vps_flag
        writer.Write(0, 4); // vps_num_video_signal_info_minus1
        writer.Write(5, 3); // video_vps_format: unspecified
        writer.Write(false); // video_full_range_vps_flag
        writer.Write(Bt709, 8); // primaries
        writer.Write(Bt709, 8); // transfer function
        writer.Write(Bt709, 8); // matrix
        writer.Write(0, 3); // tiles_not_in_use_flag, tiles_in_use_flag of both layers
        writer.Write(false); // wpp_not_in_use_flag
        writer.Write(entryPoints); // wpp_in_use_flag of the first layer
        writer.Write(entryPoints); // and of the second one
        writer.Write(0, 2); // single_layer_for_non_irap_flag, higher_layer_irap_skip_flag
        writer.Write(0, 2); // ilp_restricted_ref_layers_flag, vps_vui_bsp_hrd_present_flag
    }
}
