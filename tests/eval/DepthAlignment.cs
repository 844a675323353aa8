using Sora.Training;
using Sora.World;

namespace Sora.Eval;

/// <summary>
/// How well the depths of neighbouring frames agree where nothing but the camera moves (temporal alignment error: Yang et al. 2024,
/// "Depth Any Video with scalable synthetic data"). A pixel of one frame is put where its depth and the known cameras say that it is
/// in the other one, and its depth there is compared with that frame's own, as a part of it; both ways, the mean over all pixels.
/// Objects, which move by themselves, and places farther than <see cref="DepthAccuracy.Farthest"/> are left out.
/// </summary>
internal static class DepthAlignment
{
    /// <summary>The error of a whole clip.</summary>
    /// <param name="scene">Its scene, whose camera is known.</param>
    /// <param name="clip">Its exact depths and masks.</param>
    /// <param name="inverse">Inverse depths in units of 1 / metre [F, H, W].</param>
    public static double Of(Scene scene, RenderedClip clip, float[] inverse)
    {
        var (sum, count) = (0.0, 0L);
        for (var frame = 0; frame + 1 < clip.Frames; frame++)
        {
            Add(scene, clip, inverse, frame, frame + 1, ref sum, ref count);
            Add(scene, clip, inverse, frame + 1, frame, ref sum, ref count);
        }
        return sum / count;
    }

    private static void Add(Scene scene, RenderedClip clip, float[] inverse, int from, int to, ref double sum, ref long count)
    {
        var (width, height, aspect) = (clip.Width, clip.Height, clip.Width / (double)clip.Height);
        var (here, there) = (CameraAt(scene, from), CameraAt(scene, to));
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                var at = (from * height + y) * width + x;
                if (!Counts(clip, at))
                    continue;
                var across = here.Right * (((2 * x + 1.0) / width - 1) * here.HalfHeight * aspect);
                var up = here.Up * ((1 - (2 * y + 1.0) / height) * here.HalfHeight);
                var point = here.Eye + (here.Forward + across + up) * Depth(inverse[at]);
                var (px, py, expected) = there.Project(point, aspect);
                if (Sample(clip, inverse, to, (px + 1) * width / 2 - 0.5, (1 - py) * height / 2 - 0.5) is not { } own)
                    continue;
                sum += Math.Abs(expected - Depth(own)) / Depth(own);
                count++;
            }
        }
    }

    /// <summary>The inverse depth between four pixels, linear as on a plane; null: outside, or one of them doesn't count.</summary>
    private static double? Sample(RenderedClip clip, float[] inverse, int frame, double x, double y)
    {
        var (left, top) = ((int)Math.Floor(x), (int)Math.Floor(y));
        if (!(left >= 0 && top >= 0 && left + 1 < clip.Width && top + 1 < clip.Height))
            return null;
        var sum = 0.0;
        for (var corner = 0; corner < 4; corner++)
        {
            var (right, low) = (corner % 2, corner / 2);
            var at = (frame * clip.Height + top + low) * clip.Width + left + right;
            if (!Counts(clip, at))
                return null;
            sum += inverse[at] * (right == 1 ? x - left : 1 - x + left) * (low == 1 ? y - top : 1 - y + top);
        }
        return sum;
    }

    private static bool Counts(RenderedClip clip, int at) => clip.Objects[at] == 0 && clip.Depth[at] <= DepthAccuracy.Farthest;

    private static double Depth(double inverse) => 1 / Math.Max(1 / DepthAccuracy.Farthest, inverse);

    private static CameraPose CameraAt(Scene scene, int frame) => scene.Camera.At(frame / SceneOptions.DefaultFps);
}
