using Sora.Clips;
using Sora.Stereo;
using Sora.Tensors;

namespace Sora.Cli;

/// <summary>The depth of a clip's frames, read one frame at a time.</summary>
internal sealed class DepthFrames
{
    private readonly Clip clip;
    private readonly HostTensor tensor;

    private DepthFrames(Clip clip, HostTensor tensor, DepthKind kind) => (this.clip, this.tensor, Kind) = (clip, tensor, kind);

    /// <summary>What its numbers mean.</summary>
    public DepthKind Kind { get; }

    /// <summary>That of a clip.</summary>
    /// <param name="clip">The clip.</param>
    /// <param name="size">The size of its frames.</param>
    /// <param name="frames">How many frames it has.</param>
    /// <exception cref="SoraException">It has none, or that of other frames.</exception>
    public static DepthFrames Of(Clip clip, FrameSize size, int frames)
    {
        if (!clip.Tensors.TryGetValue(Clip.DepthName, out var tensor))
            throw SoraException.Failed(
                $"{clip.Origin} has no depth",
                "add it: sora depth clip.latent | sora decode --stereo sbs -o clip.mp4"
            );
        long[] expected = [frames, size.Height, size.Width];
        if (!tensor.Shape.SequenceEqual(expected))
        {
            throw SoraException.Failed(
                $"{clip.Origin}: its depth is {Shapes.Text(tensor.Shape)}, but its frames are {Shapes.Text(expected)}",
                "measure it again with sora depth"
            );
        }
        var kind = ClipDepth.Of(clip).Kind switch
        {
            ClipDepth.Metric => DepthKind.Metric,
            ClipDepth.Relative or null => DepthKind.Relative,
            var other => throw SoraException.Failed($"{clip.Origin}: its depth_kind is '{other}', neither relative nor metric"),
        };
        return new DepthFrames(clip, tensor, kind);
    }

    /// <summary>Reads the depth <c>[H, W]</c> of one frame.</summary>
    /// <exception cref="SoraException">Some of it is no number. Infinity is the sky of metric depth.</exception>
    public void Read(int frame, float[] depth)
    {
        tensor.CopyTo(depth, (long)frame * depth.Length);
        foreach (var value in depth)
        {
            if (!(float.IsFinite(value) || (Kind == DepthKind.Metric && float.IsPositiveInfinity(value))))
            {
                throw SoraException.Failed(
                    $"{clip.Origin}: its depth holds {value} in frame {frame}, which is no depth",
                    "measure it again with sora depth"
                );
            }
        }
    }
}
