namespace Sora.Diffusion;

/// <summary>
/// Normal noise from the counter-based generator Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
/// Each value depends only on seed, stream and its own place (channel, frame, row, column), never on the size of the video:
/// a longer or wider run shares the noise of a shorter one. Values are computed on the host, so that devices agree.
/// </summary>
public static class Noise
{
    /// <summary>
    /// Standard normal values of shape [C, T, h, w], row-major.
    /// </summary>
    /// <param name="seed">Seed of the run.</param>
    /// <param name="stream">0 for the start of a run; samplers that draw noise use one stream a call.</param>
    /// <param name="shape">Channels, frames, rows (below 65536) and columns (below 262144).</param>
    /// <param name="firstFrame">Where the first frame of this part is in the whole video.</param>
    public static float[] Normal(ulong seed, uint stream, (int Channels, int Frames, int Rows, int Columns) shape, int firstFrame = 0)
    {
        var (channels, frames, rows, columns) = shape;
        var values = new float[checked(channels * frames * rows * columns)];
        Parallel.For(
            0,
            channels * frames,
            plane =>
            {
                var (channel, frame) = Math.DivRem(plane, frames);
                var target = values.AsSpan(plane * rows * columns, rows * columns);
                Span<float> four = stackalloc float[4];
                for (var row = 0; row < rows; row++)
                {
                    for (var column = 0; column < columns; column += 4)
                    {
                        var counter = (((uint)row << 16) | (uint)(column >> 2), (uint)channel, (uint)(frame + firstFrame), stream);
                        BoxMuller(Philox(counter, ((uint)seed, (uint)(seed >> 32))), four);
                        four[..Math.Min(4, columns - column)].CopyTo(target[(row * columns + column)..]);
                    }
                }
            }
        );
        return values;
    }

    /// <summary>Ten rounds of Philox4x32.</summary>
    internal static (uint A, uint B, uint C, uint D) Philox((uint A, uint B, uint C, uint D) counter, (uint Low, uint High) key)
    {
        var (a, b, c, d) = counter;
        var (low, high) = key;
        for (var round = 0; round < 10; round++)
        {
            var first = (ulong)a * 0xD2511F53;
            var second = (ulong)c * 0xCD9E8D57;
            (a, b, c, d) = ((uint)(second >> 32) ^ b ^ low, (uint)second, (uint)(first >> 32) ^ d ^ high, (uint)first);
            low += 0x9E3779B9;
            high += 0xBB67AE85;
        }
        return (a, b, c, d);
    }

    /// <summary>Four normal values from four words: two pairs of radius and angle.</summary>
    private static void BoxMuller((uint A, uint B, uint C, uint D) bits, Span<float> four)
    {
        Pair(bits.A, bits.B, out four[0], out four[1]);
        Pair(bits.C, bits.D, out four[2], out four[3]);
    }

    private static void Pair(uint first, uint second, out float x, out float y)
    {
        // The half keeps the logarithm's argument above 0 and below 1.
        var radius = Math.Sqrt(-2 * Math.Log((first + 0.5) / 4294967296.0));
        var (sine, cosine) = Math.SinCos(second * (2 * Math.PI / 4294967296.0));
        x = (float)(radius * cosine);
        y = (float)(radius * sine);
    }
}
