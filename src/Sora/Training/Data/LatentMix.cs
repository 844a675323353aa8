namespace Sora.Training;

/// <summary>
/// Draws batches from clips of several shapes, so that each clip is drawn equally often, whatever its shape: batches of large clips
/// hold fewer of them, so they are drawn more often.
/// </summary>
internal sealed class LatentMix
{
    private readonly IReadOnlyList<LatentSet> sets;
    private readonly Func<LatentSet, long> tokens;
    private readonly int tokensPerStep;
    private readonly double[] shares;

    /// <param name="sets">Encoded clips.</param>
    /// <param name="tokens">How many tokens a clip of a set has.</param>
    /// <param name="tokensPerStep">About how many a batch has.</param>
    public LatentMix(IReadOnlyList<LatentSet> sets, Func<LatentSet, long> tokens, int tokensPerStep)
    {
        (this.sets, this.tokens, this.tokensPerStep) = (sets, tokens, tokensPerStep);
        shares = [.. sets.Select(set => set.Seeds.Length / (double)BatchOf(set))];
    }

    /// <summary>Clips in a batch: an even number, as its two halves are computed side by side.</summary>
    public int BatchOf(LatentSet set) => Math.Max(1, (int)Math.Round(tokensPerStep / (2.0 * tokens(set))) * 2);

    /// <summary>Draws the set of a batch.</summary>
    public LatentSet Draw(ref Rng random)
    {
        var at = random.Uniform() * shares.Sum();
        for (var i = 0; i < shares.Length; i++)
        {
            if ((at -= shares[i]) < 0)
                return sets[i];
        }
        return sets[^1];
    }
}
