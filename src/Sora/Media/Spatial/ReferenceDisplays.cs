namespace Sora.Media.Spatial;

/// <summary>
/// The message "3D reference displays information" (H.265, G.14.2.3), which says which view is for which eye. Players take a
/// stream without it for one view of twice the rate.
/// </summary>
internal static class ReferenceDisplays
{
    /// <summary>The identifier of the view for the left eye.</summary>
    public const uint LeftView = 0;

    /// <summary>The identifier of the view for the right eye.</summary>
    public const uint RightView = 1;

    private const byte PayloadType = 176;

    /// <summary>The message as a unit of the stream.</summary>
    public static NalUnit Message()
    {
        var payload = new BitWriter();
        // The width of a display is given as 0 times 2^-31, which is unspecified.
        payload.WriteUnsigned(31); // prec_ref_display_width
        payload.Write(false); // ref_viewing_distance_flag
        payload.WriteUnsigned(0); // num_ref_displays_minus1
        payload.WriteUnsigned(LeftView);
        payload.WriteUnsigned(RightView);
        payload.Write(0, 6); // exponent_ref_display_width
        payload.Write(0, 1); // mantissa_ref_display_width
        payload.Write(false); // additional_shift_present_flag
        payload.Write(false); // three_dimensional_reference_displays_extension_flag
        if (!payload.IsAligned)
            payload.Trail();
        var bits = payload.ToArray();
        var stop = (byte)0x80;
        return new NalUnit(NalType.PrefixSei, 0, [PayloadType, (byte)bits.Length, .. bits, stop]);
    }
}
