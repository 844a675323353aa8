using Sora.Clips;
using Sora.Conditions;
using Sora.Diffusion;
using Sora.Media;
using Sora.Models;
using Sora.Nn;
using Sora.Pipelines;
using Sora.Tensors;
using Sora.World;
using static TorchSharp.torch;

namespace Sora.Eval;

/// <summary>The model that is judged, with its own defaults, used as the verbs use it.</summary>
internal sealed class Subject : IDisposable
{
    private readonly VideoModel model;
    private readonly VideoPipeline pipeline;
    private readonly VideoGenerator generator;
    private readonly FrameCodec codec;
    private readonly SamplingSettings settings;
    private readonly string fingerprint;

    /// <summary>Opens a model.</summary>
    public Subject(VideoModel model)
    {
        this.model = model;
        pipeline = new VideoPipeline(model, Precision.Default(), Reporter.Silent, CancellationToken.None);
        generator = new VideoGenerator(pipeline);
        codec = FrameCodec.Open(model);
        var own = pipeline.Defaults.Settings;
        settings = own with
        {
            Width = Judge.Side,
            Height = Judge.Side,
            Frames = Judge.ClipFrames,
            Fps = SceneOptions.DefaultFps,
            Overlap = Math.Min(own.Overlap, (own.Window - 1) / 2),
        };
        fingerprint = model.VaeFingerprint();
    }

    /// <summary>A clip from a prompt and what is known of it.</summary>
    public Clip Generate(string prompt, int seed, params IReadOnlyList<Still> stills) =>
        generator.Generate(
            new GenerationRequest(settings with { Prompt = prompt, Seed = seed }) { Conditioning = new Conditioning { Stills = stills } }
        );

    /// <summary>A clip of frames.</summary>
    public Clip Encode(IReadOnlyList<Image> frames) =>
        new()
        {
            Latents = codec.Encode(frames, CancellationToken.None).Latents,
            Info = new ClipInfo
            {
                Model = model.Reference,
                Vae = fingerprint,
                Width = Judge.Side,
                Height = Judge.Side,
                Frames = frames.Count,
                Fps = SceneOptions.DefaultFps,
            },
        };

    /// <summary>The normalised latents of frames, [1, C, T, h, w].</summary>
    public Tensor Latents(IReadOnlyList<Image> frames)
    {
        using var scope = NewDisposeScope();
        return model.Normalise(TensorIO.ToTensor(codec.Encode(frames, CancellationToken.None).Latents)).MoveToOuterDisposeScope();
    }

    /// <summary>The frames of a clip.</summary>
    public Image[] Decode(Clip clip) => [.. codec.Decode(clip.FinishedLatents, clip.Info.Space, CancellationToken.None)];

    /// <summary>Frames as the VAE gives them back.</summary>
    public Image[] Reconstruct(IReadOnlyList<Image> frames) => Decode(Encode(frames));

    /// <summary>A clip with so many frames more.</summary>
    public Clip Extend(Clip clip, string prompt, int seed, int frames) => Joins(clip, prompt, seed).After(clip, frames);

    /// <summary>A clip with so many frames more that lead back to its first one.</summary>
    public Clip Loop(Clip clip, string prompt, int seed, int frames) => Joins(clip, prompt, seed).Loop(clip, frames);

    /// <summary>A clip with a box remade, and where its latents were kept, [1, 1, T, h, w].</summary>
    public (Clip Clip, Tensor Known) Change(Clip clip, Box box, string prompt, int seed)
    {
        using var scope = NewDisposeScope();
        var own = settings with { Prompt = prompt, Seed = seed, Frames = clip.Info.Frames!.Value };
        var region = new Region { Box = box };
        var made = generator.Generate(new GenerationRequest(own) { Edited = new EditedClip(clip, () => region) });
        return (made, region.Known(own, model.Geometry, model.TokenSize).MoveToOuterDisposeScope());
    }

    /// <summary>Frees the weights.</summary>
    public void Dispose()
    {
        pipeline.Dispose();
        codec.Dispose();
    }

    private ClipJoiner Joins(Clip clip, string prompt, int seed) =>
        new(pipeline, settings with { Prompt = prompt, Seed = seed, Frames = clip.Info.Frames!.Value }, CancellationToken.None);
}
