using System.Buffers.Binary;
using System.Text;

namespace Sora.Media.Spatial;

/// <summary>
/// The boxes by which Apple's players know a spatial video, named in Apple's "ISO Base Media File Format and Apple HEVC Stereo
/// Video" and written as ffmpeg 7.1 reads and writes them.
/// </summary>
internal static class StereoBoxes
{
    private const byte LeftEye = 1;
    private const byte RightEye = 2;

    /// <summary>Video extended usage: how the eyes are stored and were recorded, and that the picture is flat.</summary>
    /// <param name="options">The hero eye, the baseline and the disparity adjustment are taken.</param>
    public static IsoBox Usage(SpatialVideoOptions options) =>
        new(
            "vexu",
            [],
            new IsoBox(
                "eyes",
                [],
                IsoBox.Full("stri", [LeftEye | RightEye]),
                IsoBox.Full("hero", [(byte)options.Hero]),
                new IsoBox("cams", [], IsoBox.Full("blin", Number((uint)Math.Round(options.Baseline * 1e6)))),
                new IsoBox("cmfy", [], IsoBox.Full("dadj", Number((uint)options.DisparityAdjustment)))
            ),
            new IsoBox("proj", [], IsoBox.Full("prji", Encoding.ASCII.GetBytes("rect")))
        );

    /// <summary>Horizontal field of view, in thousandths of a degree.</summary>
    public static IsoBox FieldOfView(double degrees) => new("hfov", Number((uint)Math.Round(degrees * 1000)));

    private static byte[] Number(uint value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return bytes;
    }
}
