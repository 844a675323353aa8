using Sora.Media;

namespace Sora.Stereo;

/// <summary>
/// Fills what an eye sees and the camera didn't from pictures of the same eye at other times. What lies behind moves between two
/// pictures; around each part of the holes, what both show of it says how far. Where that motion finds the place in the other
/// picture, and what is seen there lies as far back as what surrounds the hole, it is taken, brighter or darker by what the two
/// pictures differ beside the hole. Where no motion explains what surrounds the hole, what was filled in before stays.
/// </summary>
internal sealed class FrameFill
{
    /// <summary>How many frames before and after are looked at.</summary>
    public const int Reach = 8;

    /// <summary>Parts of the picture that are matched by themselves are squares, 16 pixels wide, or larger in large pictures.</summary>
    private const int SmallestTile = 16,
        TilesAcross = 60;

    /// <summary>Surroundings are compared in about so many pixels; fewer than the least say nothing.</summary>
    private const int Samples = 128,
        LeastSamples = 24;

    /// <summary>A pixel counts as no more different than this, of three colours: a few that are something else don't decide.</summary>
    private const int MostDifferent = 90;

    /// <summary>
    /// By a motion, surroundings may differ that many times as much as they do from the column after the next one: a smooth
    /// picture must match closely. Less leaves holes that would be nearer to a second camera's picture when filled (20 scenes of
    /// the synthetic world).
    /// </summary>
    private const double MostSmear = 1.5;

    /// <summary>So many columns beside a hole say how much brighter or darker the other picture is there.</summary>
    private const int EdgeColumns = 3;

    /// <summary>
    /// Pixels around the motion expected where the best one is looked for: at first, and once it's known from a frame before. If
    /// the best one is at the rim, it's looked for around that, so many times in all.
    /// </summary>
    private const int FirstSearch = 6,
        NextSearch = 1,
        MostSearches = 4;

    /// <summary>
    /// Motions this near to whole pixels are taken as whole: the parabola isn't exact, and pixels between two others are blurred.
    /// </summary>
    private const double Whole = 0.04;

    private readonly int width;
    private readonly int height;
    private readonly StereoEyes eyes;
    private readonly int tile;
    private readonly int tolerance;
    private readonly short[] behind;
    private readonly int[] beside;
    private readonly bool[] filled;

    public FrameFill(int width, int height, StereoEyes eyes)
    {
        (this.width, this.height, this.eyes) = (width, height, eyes);
        tile = Math.Max(SmallestTile, width / TilesAcross / 8 * 8);
        // Half a pixel, and more where all disparities are larger.
        tolerance = SeenDisparity.Units / 2 + SeenDisparity.Units * width / 1000;
        (behind, beside, filled) = (new short[width * height], new int[width * height], new bool[width * height]);
    }

    /// <summary>Fills the holes of one pair from the others of its shot.</summary>
    /// <param name="window">Pairs in their order, and the number of the shot of each.</param>
    /// <param name="at">The place of the pair whose holes are filled.</param>
    public void Fill(IReadOnlyList<(StereoPair Pair, int Shot)> window, int at)
    {
        var views = new List<(int Time, StereoPair Pair)>();
        for (var i = Math.Max(0, at - Reach); i <= Math.Min(window.Count - 1, at + Reach); i++)
        {
            if (i != at && window[i].Shot == window[at].Shot)
                views.Add((i - at, window[i].Pair));
        }
        Fill(ViewOf(window[at].Pair, 0, left: false), [.. views.Select(view => ViewOf(view.Pair, view.Time, left: false))]);
        if (eyes == StereoEyes.Symmetric)
            Fill(ViewOf(window[at].Pair, 0, left: true), [.. views.Select(view => ViewOf(view.Pair, view.Time, left: true))]);
    }

    private static View ViewOf(StereoPair pair, int time, bool left) =>
        left ? new View(time, pair.Left, pair.LeftDisparity!) : new View(time, pair.Right, pair.RightDisparity!);

    private void Fill(View now, View[] others)
    {
        if (others.Length == 0)
            return;
        Parallel.For(0, height, y => FindBehind(now.Seen, y));
        var (across, down) = ((width + tile - 1) / tile, (height + tile - 1) / tile);
        View[][] sides =
        [
            [.. others.Where(view => view.Time < 0).OrderByDescending(view => view.Time)],
            [.. others.Where(view => view.Time > 0).OrderBy(view => view.Time)],
        ];
        Parallel.For(0, across * down, number => FillTile(now, sides, number % across * tile, number / across * tile));
        // Only now, since surroundings of other tiles must not depend on which tile came first. Frames after this one may take what
        // was found.
        for (var i = 0; i < filled.Length; i++)
        {
            if (filled[i])
                (now.Seen[i], filled[i]) = (behind[i], false);
        }
    }

    /// <summary>For each hole of a row, the disparity of its farther side, and its first column.</summary>
    private void FindBehind(short[] all, int y)
    {
        var seen = all.AsSpan(y * width, width);
        for (var x = 0; x < width; x++)
        {
            if (seen[x] != SeenDisparity.Unseen)
                continue;
            var end = x + 1;
            while (end < width && seen[end] == SeenDisparity.Unseen)
                end++;
            // The side that isn't there is larger than any.
            var (left, right) = (x > 0 ? seen[x - 1] : SeenDisparity.Unseen, end < width ? seen[end] : SeenDisparity.Unseen);
            behind.AsSpan(y * width + x, end - x).Fill(Math.Min(left, right));
            beside.AsSpan(y * width + x, end - x).Fill(left < right ? x - 1 : end);
            x = end;
        }
    }

    private void FillTile(View now, View[][] sides, int left, int top)
    {
        var (right, bottom) = (Math.Min(left + tile, width), Math.Min(top + tile, height));
        var holes = new List<int>();
        for (var y = top; y < bottom; y++)
        for (var x = left; x < right; x++)
        {
            if (now.Seen[y * width + x] == SeenDisparity.Unseen && behind[y * width + x] != SeenDisparity.Unseen)
                holes.Add(y * width + x);
        }
        if (holes.Count == 0)
            return;
        var (near, far) = (holes.Max(place => behind[place]) + tolerance, holes.Min(place => behind[place]) - 2 * tolerance);
        var around = Surroundings(now, left, top, near, far);
        if (around.Count < LeastSamples)
            return;
        var limit = MostSmear * Smear(now, around, near);
        var found = sides.SelectMany(side => Follow(now, side, around, near, limit)).OrderBy(match => match.Cost).ToList();
        foreach (var place in holes)
        {
            foreach (var match in found)
            {
                if (!Take(now, match, place))
                    continue;
                filled[place] = true;
                break;
            }
        }
    }

    /// <summary>Some pixels around a tile that show what lies behind.</summary>
    private List<int> Surroundings(View now, int left, int top, int near, int far)
    {
        var (places, margin) = (new List<int>(), tile / 2);
        for (var y = Math.Max(0, top - margin); y < Math.Min(height, top + tile + margin); y++)
        for (var x = Math.Max(0, left - margin); x < Math.Min(width, left + tile + margin); x++)
        {
            if (now.Seen[y * width + x] is var seen && seen != SeenDisparity.Unseen && seen <= near && seen >= far)
                places.Add(y * width + x);
        }
        var step = Math.Max(1, places.Count / Samples);
        return step == 1 ? places : [.. places.Where((_, i) => i % step == 0)];
    }

    /// <summary>How much surroundings differ from those two columns beside them.</summary>
    private double Smear(View now, List<int> around, int near) =>
        Math.Min(Cost(now, now, around, near, (2, 0)), Cost(now, now, around, near, (-2, 0)));

    /// <summary>The motion of what lies behind from now to each of the frames on one side, as long as it can be followed.</summary>
    private IEnumerable<Match> Follow(View now, View[] side, List<int> around, int near, double limit)
    {
        var (before, last, search) = ((X: 0, Y: 0), (X: 0, Y: 0), FirstSearch);
        foreach (var other in side)
        {
            var expected = (2 * last.X - before.X, 2 * last.Y - before.Y);
            var (motion, cost) = Search(now, other, around, near, expected, search);
            if (!(cost < limit))
                yield break;
            (before, last, search) = (last, motion, NextSearch);
            yield return Finer(now, other, around, near, motion, cost);
        }
    }

    /// <summary>The best motion in whole pixels; at the rim of what was searched it goes on from there.</summary>
    private ((int X, int Y) Motion, double Cost) Search(View now, View other, List<int> around, int near, (int X, int Y) middle, int reach)
    {
        var (best, least) = (middle, Cost(now, other, around, near, middle));
        for (var round = 0; round < MostSearches; round++)
        {
            for (var dy = -reach; dy <= reach; dy++)
            for (var dx = -reach; dx <= reach; dx++)
            {
                var motion = (middle.X + dx, middle.Y + dy);
                var cost = Cost(now, other, around, near, motion, least);
                if (cost < least)
                    (best, least) = (motion, cost);
            }
            if (Math.Max(Math.Abs(best.X - middle.X), Math.Abs(best.Y - middle.Y)) < reach)
                break;
            middle = best;
        }
        return (best, least);
    }

    /// <summary>The bottom of a parabola through the costs beside the best motion, along each axis.</summary>
    private Match Finer(View now, View other, List<int> around, int near, (int X, int Y) motion, double cost)
    {
        var (x, y) = motion;
        var dx = Bottom(Cost(now, other, around, near, (x - 1, y)), cost, Cost(now, other, around, near, (x + 1, y)));
        var dy = Bottom(Cost(now, other, around, near, (x, y - 1)), cost, Cost(now, other, around, near, (x, y + 1)));
        return new Match(other, x + dx, y + dy, cost);
    }

    private static double Bottom(double before, double here, double after)
    {
        var bend = before - 2 * here + after;
        var bottom = bend > 0 && double.IsFinite(bend) ? Math.Clamp((before - after) / (2 * bend), -0.5, 0.5) : 0;
        return Math.Abs(bottom) < Whole ? 0 : bottom;
    }

    /// <summary>
    /// The mean difference between surroundings now and those of another time, shifted; infinite if too few of them are seen there,
    /// or once it's clear that it exceeds <paramref name="most"/>.
    /// </summary>
    private double Cost(View now, View other, List<int> around, int near, (int X, int Y) motion, double most = double.PositiveInfinity)
    {
        var (sum, count) = (0L, 0);
        var (from, to) = (now.Picture.Pixels, other.Picture.Pixels);
        foreach (var place in around)
        {
            var (y, x) = Math.DivRem(place, width);
            (x, y) = (x + motion.X, y + motion.Y);
            if ((uint)x >= (uint)width || (uint)y >= (uint)height)
                continue;
            var target = y * width + x;
            if (other.Seen[target] > near)
                continue;
            var (a, b) = (place * Image.Channels, target * Image.Channels);
            var difference = Math.Abs(from[a] - to[b]) + Math.Abs(from[a + 1] - to[b + 1]) + Math.Abs(from[a + 2] - to[b + 2]);
            sum += Math.Min(difference, MostDifferent);
            count++;
            if (sum > most * around.Count)
                return double.PositiveInfinity;
        }
        return count >= LeastSamples && 2 * count >= around.Count ? (double)sum / count : double.PositiveInfinity;
    }

    /// <summary>Takes one pixel from another time, if what is seen there, and beside the hole, lies behind.</summary>
    private bool Take(View now, Match match, int place)
    {
        var (near, row, first) = (behind[place] + tolerance, place / width * width, beside[place]);
        var step = row + first > place ? 1 : -1;
        Span<double> colour = stackalloc double[Image.Channels];
        Span<double> edge = stackalloc double[Image.Channels];
        colour.Clear();
        if (!Add(match, place, near, 1, colour))
            return false;
        edge.Clear();
        var count = 0;
        for (var x = first; count < EdgeColumns && (uint)x < (uint)width; x += step, count++)
        {
            if (now.Seen[row + x] > near || !Add(match, row + x, near, -1, edge))
                break;
            for (var c = 0; c < Image.Channels; c++)
                edge[c] += now.Picture.Pixels[(row + x) * Image.Channels + c];
        }
        if (count == 0)
            return false;
        for (var c = 0; c < Image.Channels; c++)
            now.Picture.Pixels[place * Image.Channels + c] = (byte)Math.Clamp(Math.Round(colour[c] + edge[c] / count), 0, 255);
        return true;
    }

    /// <summary>
    /// Adds what is seen in a place at another time, between pixels their linear mean, times <paramref name="factor"/>; false, and
    /// nothing is added, where that isn't seen or lies before <paramref name="near"/>.
    /// </summary>
    private bool Add(Match match, int place, int near, double factor, Span<double> colour)
    {
        var (y, x) = (place / width + match.Y, place % width + match.X);
        var (left, top) = ((int)Math.Floor(x), (int)Math.Floor(y));
        var (across, down) = (x - left, y - top);
        Span<double> sum = stackalloc double[Image.Channels];
        sum.Clear();
        for (var corner = 0; corner < 4; corner++)
        {
            var (column, row) = (left + (corner & 1), top + (corner >> 1));
            var weight = ((corner & 1) == 0 ? 1 - across : across) * (corner < 2 ? 1 - down : down);
            if (weight == 0)
                continue;
            if ((uint)column >= (uint)width || (uint)row >= (uint)height || match.Other.Seen[row * width + column] > near)
                return false;
            var pixel = match.Other.Picture.Pixels.AsSpan((row * width + column) * Image.Channels, Image.Channels);
            for (var c = 0; c < Image.Channels; c++)
                sum[c] += weight * pixel[c];
        }
        for (var c = 0; c < Image.Channels; c++)
            colour[c] += factor * sum[c];
        return true;
    }

    /// <summary>What one eye sees at a time, counted in frames from now.</summary>
    private sealed record View(int Time, Image Picture, short[] Seen);

    /// <summary>How far what lies behind moves from now to another time, and how well that explains what is seen.</summary>
    private sealed record Match(View Other, double X, double Y, double Cost);
}
