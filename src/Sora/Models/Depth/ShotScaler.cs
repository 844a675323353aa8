using System.Runtime.InteropServices;

namespace Sora.Models.Depth;

/// <summary>A shot, and the depths that become 0 and 1 in it.</summary>
/// <param name="First">Its first frame, from 0.</param>
/// <param name="Low">What becomes 0.</param>
/// <param name="High">What becomes 1.</param>
public sealed record DepthShot(int First, float Low, float High);

/// <summary>
/// Brings the depths of a video into the range from 0 to 1. If it isn't known before, each shot gets a range of its own, that of all
/// its maps, which wait on disk until the shot ends.
/// </summary>
/// <param name="folder">Where there is room for the maps of the longest shot, four bytes a pixel.</param>
/// <param name="range">What becomes 0 and 1 in all shots, and what is beyond; null: each shot's own smallest and largest depth.</param>
public sealed class ShotScaler(string folder, (float Low, float High)? range = null) : IDisposable
{
    private readonly Spool waiting = new(folder);
    private readonly List<DepthShot> shots = [];

    /// <summary>The shots that have ended so far; with a given range one for all.</summary>
    public IReadOnlyList<DepthShot> Shots => shots;

    /// <summary>The maps from 0 to 1, <c>[H, W]</c> each, in their order, though some time after they were taken.</summary>
    /// <param name="maps">All of one size; the first one begins a shot.</param>
    /// <exception cref="SoraException">The disk is full.</exception>
    public IEnumerable<float[]> Scale(IEnumerable<(DepthMap Map, bool IsCut)> maps)
    {
        if (range is { } known)
        {
            shots.Add(new DepthShot(0, known.Low, known.High));
            foreach (var (map, _) in maps)
            {
                var scaled = new float[map.Values.Length];
                Scale(map.Values, scaled, shots[0]);
                yield return scaled;
            }
            yield break;
        }
        var (shot, count, pixels) = (Begun(0), 0, 0);
        foreach (var (map, isCut) in maps)
        {
            if (isCut && count > shot.First)
            {
                foreach (var scaled in Ended(shot, pixels))
                    yield return scaled;
                shot = Begun(count);
            }
            shot = shot with { Low = Math.Min(shot.Low, map.Values.Min()), High = Math.Max(shot.High, map.Values.Max()) };
            (count, pixels) = (count + 1, map.Values.Length);
            waiting.Add(MemoryMarshal.AsBytes(map.Values.AsSpan()));
        }
        foreach (var scaled in Ended(shot, pixels))
            yield return scaled;
    }

    /// <summary>Frees the disk.</summary>
    public void Dispose() => waiting.Dispose();

    private static DepthShot Begun(int first) => new(first, float.PositiveInfinity, float.NegativeInfinity);

    private IEnumerable<float[]> Ended(DepthShot shot, int pixels)
    {
        if (waiting.Length == 0)
            yield break;
        shots.Add(shot);
        var bytes = (long)pixels * sizeof(float);
        for (var offset = 0L; offset < waiting.Length; offset += bytes)
        {
            var map = new float[pixels];
            waiting.Read(offset, MemoryMarshal.AsBytes(map.AsSpan()));
            Scale(map, map, shot);
            yield return map;
        }
        waiting.Clear();
    }

    private static void Scale(ReadOnlySpan<float> values, Span<float> scaled, DepthShot shot)
    {
        var scale = shot.High > shot.Low ? 1 / (shot.High - shot.Low) : 0;
        for (var i = 0; i < values.Length; i++)
            scaled[i] = Math.Clamp((values[i] - shot.Low) * scale, 0, 1);
    }
}
