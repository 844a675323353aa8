using System.Globalization;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models;
using Sora.Models.Text;
using Sora.Models.Wan;
using Sora.Nn;
using TorchSharp;
using static TorchSharp.torch;

namespace Sora.Planning;

/// <summary>A stage of a run: what it holds in memory at its peak, and what it computes.</summary>
/// <param name="Name">What it does.</param>
/// <param name="Weights">Bytes of weights.</param>
/// <param name="Activations">Bytes of everything else.</param>
/// <param name="Flops">Floating-point operations in all.</param>
public sealed record Stage(string Name, long Weights, long Activations, double Flops)
{
    /// <summary>Bytes at its peak.</summary>
    public long Peak => Weights + Activations;

    /// <summary>
    /// Bytes of weights that stay in their files, as they are stored, until they are used: the system keeps them in memory as
    /// long as there is room.
    /// </summary>
    public long Streamed { get; init; }

    /// <summary>What it needs as a line of text.</summary>
    public string Line => string.Create(
        CultureInfo.InvariantCulture,
        $"{Name,-9} weights {Size(Weights)}{(Streamed > 0 ? $" and {Size(Streamed)} in files" : "")}, peak {Size(Needed)}, {Flops / 1e12:0.###} TFLOP");

    /// <summary>
    /// Bytes that the C allocator keeps between tensors, on the CPU alone: it gives nothing back, because fresh pages cost more
    /// time than computing, and tensors of other sizes leave gaps. Measured (tests/bench memory): at most 0.4 of what is live,
    /// and some huge pages.
    /// </summary>
    public long Kept { get; init; }

    /// <summary>Bytes at its peak, with the program, libtorch and its workspaces.</summary>
    public long Needed => (300L << 20) + Peak + Kept;

    /// <summary>The same where <paramref name="device"/> computes.</summary>
    internal Stage On(Device device) => device.type == DeviceType.CPU && Activations > 0 ? this with { Kept = (256L << 20) + Activations * 2 / 5 } : this;

    /// <summary>Refuses a stage that doesn't fit into memory, before anything is loaded.</summary>
    /// <param name="free">What may be used.</param>
    /// <param name="advice">What would fit, asked for if it doesn't.</param>
    /// <exception cref="SoraException">It doesn't fit; the hint is the advice.</exception>
    public void Require(FreeMemory free, Func<string> advice)
    {
        if (Needed > free.Bytes) throw SoraException.Failed($"{Name} needs {Size(Needed)}, but only {Size(free.Bytes)} is free{free.Where}", advice());
    }

    private static string Size(long bytes) => string.Create(
        CultureInfo.InvariantCulture, $"{(bytes >= 1L << 30 ? bytes / (double)(1L << 30) : bytes / (double)(1L << 20)):0.0} {(bytes >= 1L << 30 ? "GB" : "MB")}");
}

/// <summary>
/// What a run will need, from the configs and headers of a model alone. Stages free what they loaded, so the largest one
/// decides.
/// </summary>
/// <param name="Tokens">Tokens of the transformer.</param>
/// <param name="Stages">The stages in their order; decoding is another program's, but its need is told here.</param>
public sealed record MemoryPlan(long Tokens, IReadOnlyList<Stage> Stages)
{
    /// <summary>Whether it goes on with an unfinished clip, of which nothing can be changed any more but how weights are held.</summary>
    public bool IsBegun { get; init; }

    /// <summary>The largest stage that runs in this program.</summary>
    public Stage Largest => Stages.Where(stage => stage.Name != "decode").MaxBy(stage => stage.Peak)!;

    /// <summary>The plan of a run.</summary>
    /// <param name="model">The model.</param>
    /// <param name="settings">What is to be made.</param>
    /// <param name="given">What of it is given.</param>
    /// <param name="calls">Model calls of the schedule, of which some may be behind.</param>
    /// <param name="precision">Where and in which type the model computes, and how much of it stays in memory.</param>
    public static MemoryPlan Of(ModelFolder model, SamplingSettings settings, Given given, int calls, Precision precision)
    {
        var shape = settings.LatentShape(model.Vae.Geometry);
        var config = model.Transformer;
        var tokens = shape[2] * (shape[3] / config.PatchSize.Rows) * (shape[4] / config.PatchSize.Columns);
        var (passes, bytes) = (settings.Guidance > 1 ? 2 : 1, precision.Bytes);
        var held = ResidentWeights.OfTransformer(model, precision.Offload);
        var size = new FrameSize(settings.Width, settings.Height);
        var vae = new VaeStages(model, size, settings.Frames, precision.Device);
        var shown = new VaeStages(model, size, Math.Max(settings.Frames, given.Joined ?? 0), precision.Device);
        var sampling = Sampling(model, settings, tokens, passes, bytes) with
        {
            Weights = held.Elements * bytes + (given.KeepsVae ? vae.Weights : 0),
            Streamed = held.Streamed,
            Flops = (double)(calls - (given.Behind ?? 0)) * passes * PassFlops(config, tokens, settings.TextLength),
        };
        // Frames that show pictures, those of clips that are joined, those beside a join, and those of a preview are decoded
        // and encoded beside the transformer.
        var isShown = given.Others && ConditioningEncoder.ModeOf(model) is ConditioningMode.TokenTimesteps or ConditioningMode.Renoise;
        var isMatched = model.Vae.IsBlock && (given.Latents || given.First || settings.Frames > settings.Window);
        Stage?[] stages =
        [
            vae.Conditions(given, bytes),
            Text(model, settings, passes, precision),
            sampling,
            isShown || isMatched || given.KeepsVae ? shown.Frames(held.Elements * bytes) : null,
            shown.Decode(),
        ];
        return new MemoryPlan(tokens, [.. stages.OfType<Stage>().Select(stage => stage.On(precision.Device))]) { IsBegun = given.Behind is not null };
    }

    /// <summary>
    /// Refuses a run that doesn't fit into memory, before anything is loaded.
    /// </summary>
    /// <param name="free">What may be used.</param>
    /// <param name="smaller">The plan for other settings; with true, for weights that are streamed.</param>
    /// <param name="model">The model.</param>
    /// <param name="settings">What is to be made.</param>
    /// <param name="isOfClip">Whether it is made of a clip, whose size and length are given: its windows alone can be shorter.</param>
    /// <exception cref="SoraException">It doesn't fit; the hint is the smallest change that does.</exception>
    public void Require(FreeMemory free, Func<SamplingSettings, bool, MemoryPlan> smaller, ModelFolder model, SamplingSettings settings, bool isOfClip = false)
    {
        bool Fits(SamplingSettings other, bool streamed) => smaller(other, streamed).Largest.Needed <= free.Bytes;
        string? First(bool streamed) => SmallestChange(model, settings, isOfClip, other => Fits(other, streamed));
        Largest.Require(free, () => Fits(settings, true) ? "--offload sequential fits"
            : (First(false) ?? (First(true) is { } change ? $"--offload sequential {change}" : null)) is not { } smallest
            ? "the weights alone don't fit: use a smaller model"
            : IsBegun ? $"starting over, {smallest} fits" : $"{smallest} fits");
    }

    /// <summary>The plan as lines of text.</summary>
    public IEnumerable<string> Lines() => Stages.Select(stage => stage.Line).Prepend($"{Tokens} tokens");

    /// <summary>The longest video, or window over a clip, that fits; where the shortest is too much, the largest size too.</summary>
    private static string? SmallestChange(ModelFolder model, SamplingSettings settings, bool isOfClip, Func<SamplingSettings, bool> fits)
    {
        var factor = model.Vae.TemporalFactor;
        // A window has a latent frame to see, and one to make.
        var (option, shortest) = isOfClip ? ("--window", Math.Min(settings.Frames, 1 + factor)) : ("--frames", 1);
        // What fits is bisected: none of so many groups of frames more than the shortest, or all of them.
        var (most, tooMany) = (-1, ((settings.Frames - shortest) / factor) + 1);
        while (tooMany - most > 1)
        {
            var middle = most + ((tooMany - most) / 2);
            if (fits(settings with { Frames = shortest + (middle * factor) })) most = middle;
            else tooMany = middle;
        }
        if (most >= 0) return $"{option} {shortest + (most * factor)}";
        foreach (var size in new FrameSize(settings.Width, settings.Height).Smaller().Select(less => VideoSize.Floor(model, less)))
        {
            if (!fits(settings with { Width = size.Width, Height = size.Height, Frames = shortest })) continue;
            return isOfClip ? $"--window {shortest} with a clip of {size} (sora decode | sora encode --size {size})" : $"--size {size} --frames {shortest}";
        }
        return null;
    }

    private static Stage Text(ModelFolder model, SamplingSettings settings, int passes, Precision precision)
    {
        var bytes = precision.Bytes;
        if (!model.Has("text_encoder")) return new Stage("text", 0, 0, 0);
        var config = T5Config.From(model.Config("text_encoder"));
        var elements = Elements(model, "text_encoder");
        long inner = (long)config.NumHeads * config.DKv, length = Rows(settings);
        var activations = length * (4 * inner + 3L * config.DFf + 4L * config.DModel) * bytes + 3L * config.NumHeads * length * length * bytes;
        var used = elements - (double)config.VocabSize * config.DModel;
        var held = ResidentWeights.Of(model, "text_encoder", precision.Offload);
        return new Stage("text", held.Elements * bytes, activations, passes * 2 * length * used) { Streamed = held.Streamed };
    }

    /// <summary>Rows of the longer prompt: a token has a character or more, and one closes it.</summary>
    private static int Rows(SamplingSettings settings) => Math.Min(settings.TextLength, Math.Max(settings.Prompt.Length, settings.Negative.Length) + 2);

    private static Stage Sampling(ModelFolder model, SamplingSettings settings, long tokens, int passes, int bytes)
    {
        var config = model.Transformer;
        long dim = config.Dim, inner = 2L * config.FfnDim;
        // Known tokens have a timestep of their own, and so do its shifts, scales and gates, in float32.
        var each = model.ExpandTimesteps ? 1 : 0;
        // Input, normalised input, queries, keys, values and the result twice; or input, normalised input, inner layer twice,
        // result. Half a float is widened where it is normalised, turned, attended to on the CPU, and added.
        var perToken = bytes == sizeof(float)
            ? Math.Max(7 * dim, (3 + each) * dim + inner)
            : Math.Max(14 * dim, (10 + 2 * each) * dim + inner);
        // VACE's hints are there before the blocks run that they are added behind.
        var control = config.VaceLayers?.Count ?? 0;
        if (control > 0) perToken += (control + 1) * dim;
        // In float32 all rows behind a prompt's are one row.
        var keys = 2L * passes * (config.NumLayers + control) * (bytes == sizeof(float) ? Rows(settings) : settings.TextLength) * dim;
        // Latents, the sampler's memory, and both answers.
        var latents = 12L * tokens * config.OutChannels * config.PatchSize.Rows * config.PatchSize.Columns * sizeof(float);
        return new Stage("sampling", 0, (tokens * perToken + keys) * bytes + latents, 0);
    }

    private static double PassFlops(WanTransformerConfig config, long tokens, int text)
    {
        double dim = config.Dim, length = tokens;
        var block = length * (2 * dim * (6 * dim + 2 * config.FfnDim) + 4 * dim * (length + text));
        return config.NumLayers * block;
    }

    private static long Elements(ModelFolder model, string part)
    {
        using var weights = model.OpenWeights(part);
        return weights.Tensors.Values.Sum(tensor => tensor.Elements);
    }
}
