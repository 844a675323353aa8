using Sora.Media;
using Sora.Models;
using Sora.World;
using static TorchSharp.torch;

namespace Sora.Eval;

/// <summary>What the judge says about one clip.</summary>
internal sealed record Verdict
{
    /// <summary>The ground.</summary>
    public required Ground Ground { get; init; }

    /// <summary>The sky.</summary>
    public required Sky Sky { get; init; }

    /// <summary>What the camera does.</summary>
    public required CameraMove Camera { get; init; }

    /// <summary>How many objects there are.</summary>
    public required int Count { get; init; }

    /// <summary>Whether there is an object of each colour.</summary>
    public required bool[] Present { get; init; }

    /// <summary>What the object of each colour would be.</summary>
    public required Shape[] Shapes { get; init; }

    /// <summary>How large the object of each colour would be.</summary>
    public required ObjectSize[] Sizes { get; init; }

    /// <summary>What the object of each colour would do.</summary>
    public required Motion[] Motions { get; init; }

    /// <summary>For each of <see cref="Judge.Moments"/> and each colour, whether an object of it is seen.</summary>
    public required bool[][] Seen { get; init; }

    /// <summary>For each of <see cref="Judge.Moments"/> and each colour, how much the object looks like each shape.</summary>
    public required float[][][] Likeness { get; init; }

    /// <summary>Looks at a clip of <see cref="Judge.ClipFrames"/> frames of the judge's size.</summary>
    public static Verdict Of(Judge judge, IReadOnlyList<Image> frames)
    {
        using var noGradients = no_grad();
        using var scope = NewDisposeScope();
        var opinion = judge.Look(Chosen(frames, Judge.Moments));
        var seen = opinion.Seen.gt(0).to(int64).data<long>().ToArray();
        var likeness = opinion.FrameShape.contiguous().data<float>().ToArray();
        return new Verdict
        {
            Ground = (Ground)opinion.Ground.argmax(1).item<long>(),
            Sky = (Sky)opinion.Sky.argmax(1).item<long>(),
            Camera = (CameraMove)opinion.Camera.argmax(1).item<long>(),
            Count = 1 + (int)opinion.Count.argmax(1).item<long>(),
            Present = [.. opinion.Present.gt(0).to(int64).data<long>().Select(present => present == 1)],
            Shapes = [.. opinion.Shape.argmax(2).data<long>().Select(shape => (Shape)shape)],
            Sizes = [.. opinion.Size.argmax(2).data<long>().Select(size => (ObjectSize)size)],
            Motions = [.. opinion.Motion.argmax(2).data<long>().Select(motion => (Motion)motion)],
            Seen = [.. seen.Chunk(Judge.Colours).Select(frame => frame.Select(value => value == 1).ToArray())],
            Likeness = [.. likeness.Chunk(Judge.Colours * Judge.Shapes).Select(frame => frame.Chunk(Judge.Shapes).ToArray())],
        };
    }

    /// <summary>Some frames of a clip as the judge takes them, [1, T, 3, H, W].</summary>
    public static Tensor Chosen(IReadOnlyList<Image> frames, IEnumerable<int> moments) =>
        Pixels.ToTensor([.. moments.Select(moment => frames[moment])], CPU).transpose(1, 2).contiguous();
}
