using System.Diagnostics;
using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Training;

/// <summary>What a run of training does and keeps.</summary>
/// <param name="Folder">The model folder that is written; the run's own files go to its folder <see cref="RunName"/>.</param>
/// <param name="Steps">Updates in total.</param>
/// <param name="Optimizer">How parameters move.</param>
public sealed record TrainingOptions(string Folder, long Steps, OptimizerOptions Optimizer)
{
    /// <summary>Seed of weights, data and noise.</summary>
    public ulong Seed { get; init; }

    /// <summary>Decay of the running mean of the weights, which is what gets saved, sampled and validated.</summary>
    public double EmaDecay { get; init; } = 0.998;

    /// <summary>Steps over which the rate rises from zero.</summary>
    public long Warmup { get; init; } = 50;

    /// <summary>The last part of the run, over which the rate falls linearly to zero.</summary>
    public double DecayFraction { get; init; } = 0.3;

    /// <summary>Steps between validations.</summary>
    public long ValidateEvery { get; init; } = 250;

    /// <summary>Steps between sheets of samples.</summary>
    public long SampleEvery { get; init; } = 1000;

    /// <summary>Steps between saves of state and model.</summary>
    public long CheckpointEvery { get; init; } = 500;

    /// <summary>Threads of tensor work; null: as many as there are cores. With one, runs are bit-identical.</summary>
    public int? Threads { get; init; }

    /// <summary>Writes the model's weights in half precision; the run's state stays in single.</summary>
    public bool Half { get; init; }

    /// <summary>The type in which Muon and the transformer multiply matrices; weights, sums and all else stay in float32.</summary>
    public ScalarType Products { get; init; } = ScalarType.Float32;

    /// <summary>The type of the model's weights on disk; null: as they are trained.</summary>
    internal ScalarType? SavedType => Half ? ScalarType.Float16 : null;

    /// <summary>Where the run's own files go.</summary>
    public string RunFolder => Path.Combine(Folder, RunName);

    /// <summary>Another name than <c>training</c> for that folder: for a part that is added to a model which was trained there.</summary>
    public string RunName { get; init; } = "training";

    /// <summary>The multiplier of the learning rates at a step: warm-up, plateau, linear decay.</summary>
    public double Rate(long step)
    {
        var decay = Math.Max(1, Steps * DecayFraction);
        return Math.Min(Math.Min(1, (step + 1) / (double)Math.Max(1, Warmup)), Math.Clamp((Steps - step) / decay, 0, 1));
    }
}

/// <summary>What is trained: the parameters, the loss of a step, and how to look at the result.</summary>
internal abstract class TrainingTask : IDisposable
{
    /// <summary>Parameters by a name that is unique in the task.</summary>
    public abstract IReadOnlyDictionary<string, Tensor> Parameters { get; }

    /// <summary>
    /// The loss of a step, a function of the parameters, the seed and the step alone, as the sum of the losses of at
    /// most <paramref name="count"/> parts of its batch. The parts are computed side by side, each on its own thread.
    /// </summary>
    public abstract IReadOnlyList<Func<Tensor>> Parts(long step, int count, CancellationToken cancellation);

    /// <summary>The loss on held-out clips, always the same ones, without gradients, and more to print about them or "".</summary>
    public abstract (double Loss, string Detail) Validate();

    /// <summary>Writes a picture of what the model does now.</summary>
    public abstract void Sample(string path);

    /// <summary>Writes the model folder.</summary>
    public abstract void Save(string folder);

    public abstract void Dispose();
}

/// <summary>
/// The loop of every training: update, running mean of the weights, loss curve, samples, checkpoints. It resumes to
/// the step: with one thread, a resumed run is bit-identical to an uninterrupted one.
/// </summary>
internal sealed class TrainingLoop : IDisposable
{
    private const int LossesWithoutNumber = 10;
    private readonly TrainingTask task;
    private readonly TrainingOptions options;
    private readonly Reporter reporter;
    private readonly Optimizer optimizer;
    private readonly int threads;
    private readonly Dictionary<string, Tensor> mean;

    public TrainingLoop(TrainingTask task, TrainingOptions options, Reporter reporter)
    {
        (this.task, this.options, this.reporter) = (task, options, reporter);
        Directory.CreateDirectory(options.RunFolder);
        threads = options.Threads ?? Environment.ProcessorCount;
        set_num_threads(threads);
        optimizer = new Optimizer(task.Parameters, options.Optimizer, options.Products, threads);
        using var noGrad = no_grad();
        mean = task.Parameters.ToDictionary(p => p.Key, p => p.Value.detach().clone().DetachFromDisposeScope());
    }

    /// <summary>The step after which a run resumes: that of its checkpoint, or 0.</summary>
    public static long SavedStep(TrainingOptions options)
    {
        if (!File.Exists(StatePath(options)))
            return 0;
        using var file = TensorFiles.Open(StatePath(options));
        return long.Parse(file.Metadata["step"], CultureInfo.InvariantCulture);
    }

    /// <summary>Trains to the last step, resuming from the run's checkpoint if it has one.</summary>
    /// <exception cref="SoraException">The checkpoint is of another model, or the loss is not a number for many steps.</exception>
    public void Run(CancellationToken cancellation)
    {
        var step = File.Exists(StatePath(options)) ? Restore() : 0;
        if (step >= options.Steps)
        {
            WithMean(() => task.Save(options.Folder));
            reporter.Note($"all {options.Steps} steps are done; wrote {options.Folder}");
            return;
        }
        if (step > 0)
            reporter.Note($"resuming after step {step} of {options.Steps}");
        using var log = new LossLog(options.RunFolder, step);
        var (clock, before, bad) = (Stopwatch.StartNew(), log.Seconds, 0);
        for (; step < options.Steps; step++)
        {
            if (cancellation.IsCancellationRequested)
            {
                Checkpoint(step);
                log.Draw();
                reporter.Note($"stopped after step {step}; run the same command again to resume");
                cancellation.ThrowIfCancellationRequested();
            }
            var rate = options.Rate(step);
            var (loss, norm) = Update(step, rate, cancellation);
            bad = double.IsFinite(loss) && double.IsFinite(norm) ? 0 : bad + 1;
            if (bad >= LossesWithoutNumber)
            {
                throw SoraException.Failed($"the loss has been NaN or infinite since step {step - bad + 1}", "train with a lower --rate");
            }
            var done = step + 1;
            var last = done == options.Steps;
            (double Loss, string Detail)? validation = last || done % options.ValidateEvery == 0 ? WithMean(task.Validate) : null;
            log.Add(done, loss, validation?.Loss, norm, rate, before + clock.Elapsed.TotalSeconds);
            reporter.Progress(string.Create(CultureInfo.InvariantCulture, $"training, loss {log.Smooth:F4}"), done, options.Steps);
            if (validation is { } v)
                reporter.Note(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"step {done}: loss {log.Smooth:F4}, validation {v.Loss:F4}{v.Detail}, {before + clock.Elapsed.TotalSeconds:F0} s"
                    )
                );
            if (last || done % options.CheckpointEvery == 0)
            {
                Checkpoint(done);
                log.Draw();
            }
            if (last || done % options.SampleEvery == 0)
                WithMean(() => task.Sample(Path.Combine(options.RunFolder, $"sample-{done:D7}.png")));
        }
    }

    public void Dispose()
    {
        optimizer.Dispose();
        foreach (var tensor in mean.Values)
            tensor.Dispose();
    }

    private static string StatePath(TrainingOptions options) => Path.Combine(options.RunFolder, "state.safetensors");

    private (double Loss, double Norm) Update(long step, double rate, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        manual_seed((long)new Rng(options.Seed, (ulong)step).NextBits());
        var parts = task.Parts(step, threads, cancellation);
        var losses = new double[parts.Count];
        WorkerThreads.Run(
            threads,
            parts.Count,
            i =>
            {
                using var own = NewDisposeScope();
                var loss = parts[i]();
                loss.backward();
                losses[i] = loss.ToDouble();
            }
        );
        var norm = optimizer.Step(rate);
        using var noGrad = no_grad();
        // The mean of few steps is no mean yet: it starts as the weights themselves.
        var decay = Math.Min(options.EmaDecay, (1.0 + step) / (10.0 + step));
        foreach (var (name, parameter) in task.Parameters)
            mean[name].mul_(decay).add_(parameter, 1 - decay);
        return (losses.Sum(), norm);
    }

    /// <summary>Does something while the parameters hold their running mean.</summary>
    private T WithMean<T>(Func<T> work)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var own = task.Parameters.ToDictionary(p => p.Key, p => p.Value.detach().clone());
        foreach (var (name, parameter) in task.Parameters)
            parameter.copy_(mean[name]);
        try
        {
            return work();
        }
        finally
        {
            foreach (var (name, parameter) in task.Parameters)
                parameter.copy_(own[name]);
        }
    }

    private void WithMean(Action work) =>
        WithMean(() =>
        {
            work();
            return true;
        });

    private void Checkpoint(long step)
    {
        var state = task
            .Parameters.Select(p => new KeyValuePair<string, Tensor>($"weights.{p.Key}", p.Value))
            .Concat(mean.Select(p => new KeyValuePair<string, Tensor>($"mean.{p.Key}", p.Value)))
            .Concat(optimizer.State());
        var metadata = new Dictionary<string, string>
        {
            ["step"] = step.ToString(CultureInfo.InvariantCulture),
            ["updates"] = optimizer.Updates.ToString(CultureInfo.InvariantCulture),
        };
        TensorFiles.Write(StatePath(options), state, metadata);
        WithMean(() => task.Save(options.Folder));
    }

    private long Restore()
    {
        using var file = TensorFiles.Open(StatePath(options));
        using var noGrad = no_grad();
        void Read(string name, Tensor into)
        {
            using var scope = NewDisposeScope();
            into.copy_(TensorFiles.Read(file, name, into.shape));
        }
        foreach (var (name, parameter) in task.Parameters)
            Read($"weights.{name}", parameter);
        foreach (var (name, tensor) in mean)
            Read($"mean.{name}", tensor);
        optimizer.Restore(Read, long.Parse(file.Metadata["updates"], CultureInfo.InvariantCulture));
        return long.Parse(file.Metadata["step"], CultureInfo.InvariantCulture);
    }
}
