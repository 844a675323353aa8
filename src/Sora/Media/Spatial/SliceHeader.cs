namespace Sora.Media.Spatial;

/// <summary>
/// Moves a slice of a stream with one layer into the second layer of another one. The coded blocks stay as they are; the
/// header (H.265, 7.3.6.1) takes the other parameter set's number and gains two fields that only higher layers have
/// (F.7.3.6.1): <c>slice_pic_order_cnt_lsb</c> where a picture is IDR, and <c>inter_layer_pred_enabled_flag</c>, which is 0.
/// </summary>
internal sealed class SliceHeader(SequenceParameters sequence, PictureParameters picture)
{
    private const uint TypeP = 1;
    private const uint TypeI = 2;

    /// <summary>The slice for the second layer.</summary>
    /// <exception cref="InvalidDataException">The header has something that a stream made here doesn't have.</exception>
    public NalUnit ForSecondLayer(NalUnit slice)
    {
        var reader = new BitReader(slice.Payload);
        var writer = new BitWriter();
        Unsupported.If(!reader.ReadFlag(), "several slices to a picture");
        writer.Write(true);
        if (slice.IsRandomAccess)
            writer.Write(reader.ReadFlag()); // no_output_of_prior_pics_flag
        reader.ReadUnsigned();
        writer.WriteUnsigned(Layers.Second); // slice_pic_parameter_set_id

        var from = reader.Position;
        reader.Skip(picture.ExtraBits);
        var type = reader.ReadUnsigned();
        Unsupported.If(type is not (TypeP or TypeI), "slices of type B");
        reader.Skip(picture.OutputFlag ? 1 : 0);
        var predictsMotion = !slice.IsIdr && ReadReferences(reader);
        writer.Copy(reader, from);
        if (slice.IsIdr)
            writer.Write(0, sequence.OrderCountBits);
        writer.Write(false); // inter_layer_pred_enabled_flag

        from = reader.Position;
        ReadCoding(reader, type, predictsMotion);
        writer.Copy(reader, from);
        writer.Trail();
        Unsupported.If(!reader.ReadFlag(), "an unknown field in a slice's header");
        var header = (reader.Position + 7) / 8;
        return new NalUnit(slice.Type, Layers.Second, [.. writer.ToArray(), .. slice.Payload.AsSpan(header)]);
    }

    /// <summary>The order count and the pictures to keep; returns slice_temporal_mvp_enabled_flag.</summary>
    private bool ReadReferences(BitReader reader)
    {
        reader.Skip(sequence.OrderCountBits);
        Unsupported.If(reader.ReadFlag(), "reference picture sets outside slices");
        // st_ref_pic_set(0) (7.3.7): for each of the earlier and later pictures its distance, and whether it is used now.
        for (var left = reader.ReadUnsigned() + reader.ReadUnsigned(); left > 0; left--)
        {
            reader.ReadUnsigned();
            reader.Skip(1);
        }
        return sequence.TemporalMotion && reader.ReadFlag();
    }

    /// <summary>From slice_sao_luma_flag to the end of the header.</summary>
    private void ReadCoding(BitReader reader, uint type, bool predictsMotion)
    {
        var filters = sequence.AdaptiveOffset && reader.Read(2) != 0;
        if (type == TypeP)
            ReadPrediction(reader, predictsMotion);
        reader.ReadSigned(); // slice_qp_delta
        if (picture.ChromaQuantiser)
            reader.SkipUnsigned(2); // signed numbers, which are as long
        filters |= ReadDeblocking(reader);
        if (picture.LoopFilterAcrossSlices && filters)
            reader.Skip(1);
        if (!picture.EntryPoints || reader.ReadUnsigned() is not (> 0 and var count))
            return;
        var length = (int)reader.ReadUnsigned() + 1;
        for (; count > 0; count--)
            reader.Skip(length);
    }

    /// <summary>From num_ref_idx_active_override_flag to five_minus_max_num_merge_cand.</summary>
    private void ReadPrediction(BitReader reader, bool predictsMotion)
    {
        var references = reader.ReadFlag() ? reader.ReadUnsigned() + 1 : picture.References;
        reader.Skip(picture.CabacInitialisation ? 1 : 0);
        if (predictsMotion && references > 1)
            reader.ReadUnsigned(); // collocated_ref_idx
        reader.ReadUnsigned();
    }

    /// <summary>deblocking_filter_override_flag and what it brings; returns whether edges are smoothed.</summary>
    private bool ReadDeblocking(BitReader reader)
    {
        if (!picture.DeblockingOverride || !reader.ReadFlag())
            return !picture.DeblockingOff;
        var off = reader.ReadFlag();
        if (!off)
            reader.SkipUnsigned(2);
        return !off;
    }
}
