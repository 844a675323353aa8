namespace Sora;

/// <summary>
/// A counter-based random generator: draw number n of a stream is a hash of (seed, stream, n), so that the same
/// seed gives the same values on every machine, for any number of threads, in any order of streams.
/// The hash is SplitMix64's finaliser (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
/// A value type: passing it by value hands over a copy that continues from the same place.
/// </summary>
public struct Rng
{
    private const ulong Golden = 0x9E3779B97F4A7C15;
    private readonly ulong key;
    private ulong counter;

    /// <summary>The generator of one stream (say, the index of a sample) of a seed.</summary>
    public Rng(ulong seed, ulong stream = 0)
    {
        key = Mix(Mix(seed + Golden) ^ (stream * 0xD1B54A32D192ED03 + 0x8CB92BA72F3D8DD7));
    }

    /// <summary>Another, independent generator that depends only on this one's key and the given number.</summary>
    public readonly Rng Fork(ulong stream) => new(key, stream);

    /// <summary>64 random bits.</summary>
    public ulong NextBits() => Mix(key + ++counter * Golden);

    /// <summary>A number in [0, 1).</summary>
    public double Uniform() => (NextBits() >> 11) * (1.0 / (1UL << 53));

    /// <summary>A number in [low, high).</summary>
    public double Uniform(double low, double high) => low + (high - low) * Uniform();

    /// <summary>Standard normal (Box and Muller 1958).</summary>
    public double Normal() => Math.Sqrt(-2 * Math.Log(1 - Uniform())) * Math.Cos(2 * Math.PI * Uniform());

    /// <summary>An integer in [0, count).</summary>
    public int Below(int count) => (int)((UInt128)NextBits() * (ulong)count >> 64);

    /// <summary>True with the given probability.</summary>
    public bool Chance(double probability) => Uniform() < probability;

    /// <summary>-1 or 1.</summary>
    public int Sign() => Chance(0.5) ? 1 : -1;

    /// <summary>One of the given values, each as likely as the others.</summary>
    public T Pick<T>(IReadOnlyList<T> values) => values[Below(values.Count)];

    /// <summary>An index, drawn in proportion to the weights.</summary>
    public int Weighted(ReadOnlySpan<double> weights)
    {
        double total = 0;
        foreach (var weight in weights)
            total += weight;
        var left = Uniform() * total;
        var last = 0;
        for (var i = 0; i < weights.Length; i++)
        {
            if (weights[i] <= 0)
                continue;
            last = i;
            left -= weights[i];
            if (left < 0)
                break;
        }
        return last;
    }

    internal static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
