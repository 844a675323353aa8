using Sora.Clips;
using Sora.Conditions;
using Sora.Models;
using static TorchSharp.torch;

namespace Sora.Pipelines;

/// <summary>
/// Clips of any length: in one piece or, where they are longer than a window or have several prompts, in sliding windows.
/// </summary>
/// <param name="pipeline">Samples each piece.</param>
public sealed class VideoGenerator(VideoPipeline pipeline)
{
    private readonly VideoModel model = pipeline.Model;

    /// <summary>Samples a clip.</summary>
    /// <param name="request">The run, whose size and length the model can make (<see cref="VideoSize"/>).</param>
    /// <returns>A finished clip, or an unfinished one where the options stop it.</returns>
    /// <exception cref="SoraException">The model can't do what is asked.</exception>
    public Clip Generate(GenerationRequest request)
    {
        using var scope = NewDisposeScope();
        var isLong = SlidingWindows.Needed(model, request.Settings);
        var ability = Abilities.Needed(request);
        Ability[] needed = isLong ? [ability, Ability.Extend] : [ability];
        // Refusals come before any word on how the rest is done.
        foreach (var one in needed)
            Abilities.Require(model, one);
        RequirePictures(request);
        if (isLong)
            RequireWindows(request);
        var known = request with { Conditioning = pipeline.Known(request), Edited = null };
        foreach (var one in needed)
            Abilities.Tell(model, one, pipeline.Reporter);
        return Make(known);
    }

    /// <summary>Resumes an unfinished clip.</summary>
    /// <exception cref="SoraException">It isn't one, is from another model, or is already further along than requested.</exception>
    public Clip Resume(Clip clip, RunOptions? options = null)
    {
        using var scope = NewDisposeScope();
        pipeline.RequireVae(clip);
        options ??= new();
        var stopped = SamplingCheckpoint.FromClip(clip, model.Unconditioned, pipeline.Device);
        var done = (stopped.Place?.Behind ?? 0) * pipeline.StepsOf(stopped.Settings) + pipeline.Steps(stopped.Settings, stopped.State.Call);
        if (options.Until <= done)
        {
            throw SoraException.Usage(
                $"{clip.Origin}: {done} steps are already done, so --until {options.Until} is too early",
                "give a later step, or leave --until out"
            );
        }
        var request = new GenerationRequest(stopped.Settings) { Run = options with { Carrier = SamplingCheckpoint.Strip(clip) } };
        if (stopped.Place is null)
            return pipeline.Run(request, stopped);
        RequireWindows(request);
        return new SlidingWindows(pipeline, stopped.Settings).Run(request, stopped.Conditioning, stopped);
    }

    /// <summary>As <see cref="Generate"/>, for a caller that has checked that the model can.</summary>
    internal Clip Make(GenerationRequest request)
    {
        if (!SlidingWindows.Needed(model, request.Settings))
            return pipeline.Run(request);
        using var scope = NewDisposeScope();
        var noise = request.Noise is null ? null : pipeline.GivenNoise(request);
        var (known, stills) = Blend(request);
        var windows = new SlidingWindows(pipeline, request.Settings, request.Conditioning.Control);
        return windows.Run(request, windows.Video(known, noise) with { Stills = stills }, null);
    }

    /// <summary>Says once if the model only approximates what is asked.</summary>
    /// <exception cref="SoraException">It can't do it.</exception>
    internal void Require(Ability ability)
    {
        Abilities.Require(model, ability);
        Abilities.Tell(model, ability, pipeline.Reporter);
    }

    /// <summary>Demands the pictures that the model can't do without, unless known latents show them.</summary>
    private void RequirePictures(GenerationRequest request)
    {
        var wanted = model.NeedsPictures;
        if (request.KnowsLatents || request.Conditioning.Stills.Count >= wanted)
            return;
        throw SoraException.Usage(
            $"{model.Name} needs {(wanted == 1 ? "a picture" : "a first and a last picture")}",
            wanted == 1 ? "pass one with --image" : "pass them with --image and --last-image"
        );
    }

    /// <summary>Windows run one after another, a stop between them doesn't hold everything, and they are made of latents.</summary>
    private void RequireWindows(GenerationRequest request)
    {
        var (settings, conditioning, options) = (request.Settings, request.Conditioning, request.Run);
        var windows =
            $"{settings.Frames} frames are generated in windows of {settings.Window}"
            + (settings.Later.Count > 0 ? ", one for each prompt" : "");
        var hint =
            settings.Later.Count > 0
                ? "leave --prompt-at out"
                : $"--window {settings.Frames} generates them in one piece, if they fit in memory";
        if (options.Expert is not null)
            throw SoraException.Usage($"{windows}, and each window needs the finished one before it, from both experts", hint);
        if (conditioning.Control is not null && (request.Noise is not null || options is { Until: not null } or { Checkpoint: not null }))
            throw SoraException.Usage($"{windows}, which with a control video or references take no --noise and save no state", hint);
        if (conditioning.Stills.Count > 0 && model.Mode is ConditioningMode.MaskChannels or ConditioningMode.Control)
            throw SoraException.Usage($"{windows}, but {model.Name} takes pictures in one piece only", hint);
    }

    /// <summary>Pictures as latents at their places, for windows, which are made of latents.</summary>
    private (Conditioning Known, IReadOnlyList<Still> Stills) Blend(GenerationRequest request)
    {
        var known = request.Conditioning;
        if (known.Stills.Count == 0)
            return (known, []);
        var encoded = pipeline.Encode(request.Settings, known, zeros(1));
        return (known with { Stills = [], Known = encoded.Known, Mask = encoded.Mask, Hints = encoded.Hints }, encoded.Stills);
    }
}
