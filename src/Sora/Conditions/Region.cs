using Sora.Diffusion;
using Sora.Media;
using Sora.Tensors;
using static TorchSharp.torch;

namespace Sora.Conditions;

/// <summary>A part of the picture, in pixels.</summary>
/// <param name="X">First column.</param>
/// <param name="Y">First row.</param>
/// <param name="Width">Columns.</param>
/// <param name="Height">Rows.</param>
public readonly record struct Box(int X, int Y, int Width, int Height)
{
    /// <summary>Reads <c>X,Y,WIDTH,HEIGHT</c>.</summary>
    /// <exception cref="SoraException">The text is something else.</exception>
    public static Box Parse(string text)
    {
        var numbers = text.Split(',').Select(part => int.TryParse(part, out var number) ? number : -1).ToArray();
        return numbers is [>= 0, >= 0, > 0, > 0]
            ? new Box(numbers[0], numbers[1], numbers[2], numbers[3])
            : throw SoraException.Usage($"'{text}' is not a box", "write X,Y,WIDTH,HEIGHT in pixels, for instance 0,0,64,64");
    }

    /// <summary>Checks that some of it lies in a picture of this size.</summary>
    /// <exception cref="SoraException">It lies outside.</exception>
    public void RequireIn(FrameSize size)
    {
        if (X < size.Width && Y < size.Height)
            return;
        throw SoraException.Usage(
            $"the box {X},{Y},{Width},{Height} is outside the picture, which is {size}",
            "X and Y count from its upper left corner"
        );
    }
}

/// <summary>
/// The part of a video that an edit remakes: pixels of masks, of a box, of a
/// time. A token with one such pixel is remade as a whole.
/// </summary>
public sealed record Region
{
    /// <summary>Masks, white where the video is remade: one for all frames, or one for each; empty: everywhere.</summary>
    public IReadOnlyList<Image> Masks { get; init; } = [];

    /// <summary>A part of every frame; null: all of it.</summary>
    public Box? Box { get; init; }

    /// <summary>First frame, and the one after the last; null: all frames.</summary>
    public (int First, int End)? Time { get; init; }

    /// <summary>Keeps what the masks and the box select instead of remaking it; the time stays as it is.</summary>
    public bool Invert { get; init; }

    /// <summary>Pixels by which the region grows on every side.</summary>
    public int Grow { get; init; }

    /// <summary>Where latents of a video are known, [1, 1, T, h, w] of ones and zeros.</summary>
    /// <param name="settings">Of the video.</param>
    /// <param name="geometry">Of the latents.</param>
    /// <param name="token">Pixels of a token.</param>
    /// <exception cref="SoraException">There are fewer masks than frames, or nothing is in the region.</exception>
    public Tensor Known(SamplingSettings settings, LatentGeometry geometry, (int Rows, int Columns) token) =>
        Known(settings.Frames, new FrameSize(settings.Width, settings.Height), geometry, token);

    /// <summary>
    /// The latents of <paramref name="made"/> inside, and those of
    /// <paramref name="old"/>, bit for bit, where the mask is 1.
    /// </summary>
    internal static HostTensor Keep(HostTensor old, HostTensor made, Tensor mask)
    {
        using var scope = NewDisposeScope();
        return TensorIO.ToHost(where(mask.cpu() > 0.5, TensorIO.ToTensor(old).to(float32), TensorIO.ToTensor(made)));
    }

    /// <summary>Where latents are known, [1, 1, T, h, w] of ones and zeros.</summary>
    /// <param name="frames">Video frames.</param>
    /// <param name="size">Of the video.</param>
    /// <param name="geometry">Of the latents.</param>
    /// <param name="unit">Pixels of a token.</param>
    /// <exception cref="SoraException">There are fewer masks than frames, or nothing is in the region.</exception>
    internal Tensor Known(int frames, FrameSize size, LatentGeometry geometry, (int Rows, int Columns) unit)
    {
        if (Masks.Count > 1 && Masks.Count < frames)
            throw SoraException.Usage(
                $"the mask has {Masks.Count} frames, but the clip has {frames}",
                "a mask is one picture, or as long as the clip"
            );
        // Of a long clip, one mask at a time is in memory.
        Image? Mask(int frame) => Masks.Count == 0 ? null : Resample.ToSize(Masks[frame], size.Width, size.Height, Fit.Stretch);
        var still = Masks.Count == 1 ? Mask(0) : null;
        var factor = geometry.SpatialFactor;
        int rows = size.Height / factor,
            columns = size.Width / factor,
            latents = geometry.LatentFrames(frames);
        var known = Enumerable.Repeat(1f, latents * rows * columns).ToArray();
        var (first, end) = Time ?? (0, frames);
        for (var frame = first; frame < end; frame++)
        {
            var latent = geometry.LatentFrameOf(frame);
            if (latent >= latents)
                break;
            var mask = still ?? Mask(frame);
            for (var top = 0; top < size.Height; top += unit.Rows)
            {
                for (var left = 0; left < size.Width; left += unit.Columns)
                {
                    if (!Touches(mask, size, new Box(left, top, unit.Columns, unit.Rows)))
                        continue;
                    for (var y = top / factor; y < (top + unit.Rows) / factor; y++)
                        known.AsSpan((latent * rows + y) * columns + left / factor, unit.Columns / factor).Clear();
                }
            }
        }
        return known.All(value => value == 1)
            ? throw SoraException.Usage(
                "nothing in the clip is in the region",
                "masks are white where the clip is regenerated, and --invert swaps that; "
                    + "with several of --mask or --colour, --box and --time, the region is what lies in all of them"
            )
            : tensor(known, [1, 1, latents, rows, columns]);
    }

    /// <summary>Whether the region, grown, holds a pixel of a token.</summary>
    private bool Touches(Image? mask, FrameSize size, Box token)
    {
        int bottom = Math.Min(size.Height, token.Y + token.Height + Grow),
            right = Math.Min(size.Width, token.X + token.Width + Grow);
        for (var y = Math.Max(0, token.Y - Grow); y < bottom; y++)
        {
            for (var x = Math.Max(0, token.X - Grow); x < right; x++)
            {
                if (Holds(mask, x, y) != Invert)
                    return true;
            }
        }
        return false;
    }

    private bool Holds(Image? mask, int x, int y)
    {
        if (Box is { } box && (x < box.X || y < box.Y || x >= box.X + box.Width || y >= box.Y + box.Height))
            return false;
        return mask is null || mask.Row(y)[x * Image.Channels] > 127;
    }
}
