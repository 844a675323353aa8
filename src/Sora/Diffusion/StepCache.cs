using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Diffusion;

/// <summary>
/// What a cache of steps knows between two model calls: where the network was last called, what it answered, and how fast
/// its answer was changing. It is part of an unfinished run.
/// </summary>
/// <param name="Input">The latents that the network last saw.</param>
/// <param name="Answer">The velocity that it gave.</param>
/// <param name="Progress">The numbers.</param>
public sealed record CacheState(Tensor Input, Tensor Answer, CacheProgress Progress);

/// <summary>The numbers of a <see cref="CacheState"/>.</summary>
/// <param name="Phase">Which network was called, and under which conditions.</param>
/// <param name="Rate">Change of the answer by that of the input, between the last two passes of this phase; null after the first.</param>
/// <param name="Skipped">Calls so far that the network didn't answer.</param>
/// <param name="Change">Their estimated relative changes, added up.</param>
/// <param name="Largest">The largest of them.</param>
public sealed record CacheProgress(int Phase, double? Rate, int Skipped = 0, double Change = 0, double Largest = 0);

/// <summary>
/// Skips passes of the network whose answer can be foreseen (EasyCache, arXiv:2507.02860). Between two passes the answer
/// v changed by k times as much as its input x, in the mean of absolute values. Further on it will have changed by about
/// k |x - x_i| / |v_i| of itself since pass i; while that is below a threshold, v_i stands for the answer. (The paper's
/// v_i + (x - x_i) is off by twice as much on mini, and by more than that estimate.) Here v is the velocity with
/// guidance: one answer stands for both of its passes. Calls at the start, where k itself changes fast, and the last call
/// are never skipped.
/// </summary>
public sealed class StepCache : IDisposable
{
    /// <summary>The part of a run, at its start, in which the network is always called.</summary>
    private const double Start = 0.1;

    private readonly double threshold;
    private readonly int first,
        last;

    /// <summary>A cache for a run.</summary>
    /// <param name="threshold">Relative change of the answer from which the network is called.</param>
    /// <param name="calls">Model calls of the whole run.</param>
    /// <param name="state">From the run's earlier part; null at its start. The cache owns it from now on.</param>
    public StepCache(double threshold, int calls, CacheState? state = null) =>
        (this.threshold, first, last, State) = (threshold, (int)Math.Ceiling(Start * calls), calls - 1, state);

    /// <summary>What it knows; null before the first pass.</summary>
    public CacheState? State { get; private set; }

    /// <summary>The answer to a call, by the network or in its place.</summary>
    /// <param name="x">Latents.</param>
    /// <param name="call">Index of the call in the whole run.</param>
    /// <param name="phase">What the call has in common with those that its answer can be foreseen from.</param>
    /// <param name="pass">Calls the network.</param>
    public Tensor Velocity(Tensor x, int call, int phase, Func<Tensor> pass)
    {
        var before = State is { } state && state.Progress.Phase == phase ? state : null;
        var moved = before is null ? 0 : Size(x - before.Input);
        if (before?.Progress.Rate is { } rate && call >= first && call < last)
        {
            var change = rate * moved / Size(before.Answer);
            if (change < threshold)
            {
                var so = before.Progress;
                State = before with
                {
                    Progress = so with { Skipped = so.Skipped + 1, Change = so.Change + change, Largest = Math.Max(so.Largest, change) },
                };
                return before.Answer.alias();
            }
        }
        var answer = pass();
        var measured = moved > 0 ? Size(answer - before!.Answer) / moved : (double?)null;
        var progress = (State?.Progress ?? new CacheProgress(phase, null)) with { Phase = phase, Rate = measured };
        Dispose();
        // The caller's tensors are freed with its step.
        State = new CacheState(x.alias().DetachFromDisposeScope(), answer.alias().DetachFromDisposeScope(), progress);
        return answer;
    }

    /// <summary>What it did in a run of this many calls.</summary>
    public string Report(int calls) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"the cache replaced {State?.Progress.Skipped ?? 0} of {calls} model calls; "
                + $"estimated relative change {State?.Progress.Change ?? 0:0.###} in all, "
                + $"at most {State?.Progress.Largest ?? 0:0.###} in one call"
        );

    /// <summary>Frees what it knows.</summary>
    public void Dispose()
    {
        State?.Input.Dispose();
        State?.Answer.Dispose();
        State = null;
    }

    /// <summary>The mean of the absolute values, read back to decide.</summary>
    private static double Size(Tensor x)
    {
        using var scope = NewDisposeScope();
        return x.abs().mean().ToDouble();
    }
}
