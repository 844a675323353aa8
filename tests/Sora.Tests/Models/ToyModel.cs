using Sora.Conditions;
using Sora.Diffusion;
using Sora.Models;
using Sora.Models.Text;
using Sora.Nn;
using static TorchSharp.torch;

namespace Sora.Tests.Models;

/// <summary>
/// A third family, through the registry alone: latents are means over two frames and 8x8 pixels, and a prompt such as <c>#ff8000</c> is the
/// colour of all of the video.
/// </summary>
internal sealed class ToyModel(ModelFolder files) : VideoModel(files)
{
    public static readonly ModelFamily Family = new(files => files.PipelineClass == "ToyPipeline", files => new ToyModel(files));

    public override LatentGeometry Geometry => new(Channels: 3, TemporalFactor: 2, SpatialFactor: 8, FirstFrames: 2);

    public override SamplingSettings Published =>
        new()
        {
            Width = 32,
            Height = 32,
            Frames = 8,
            Fps = 8,
            Steps = 4,
            Guidance = 1,
            Window = 8,
            Overlap = 2,
        };

    public override string Sizes => "means";

    public override Support Supports(Ability ability) =>
        ability switch
        {
            Ability.Text or Ability.Extend or Ability.Strength => Support.Native,
            Ability.Control => Support.Refused,
            _ => Support.Approximate,
        };

    public override Tensor Normalise(Tensor raw) => raw * 2;

    public override Tensor Denormalise(Tensor normalised) => normalised / 2;

    public override VideoVae OpenVae(Device device) => new Vae(this);

    public override PromptEmbeds EncodePrompt(SamplingSettings settings, Precision precision, Reporter reporter) =>
        new(tensor(Convert.FromHexString(settings.Prompt[1..]).Select(value => value / 127.5f - 1).ToArray(), [1, 1, 3]), null, 1);

    public override DenoisingNetwork OpenNetwork(int expert, Precision precision, CancellationToken cancel) => new Network();

    public override IReadOnlyList<StageCost> Costs(GenerationRequest request, int calls, Precision precision) =>
        [new("sampling", 0, 1 << 20, calls)];

    public override StageCost EncodeCost(FrameSize size, int frames, Device device) => new("encode", 0, 1 << 20, 1);

    public override StageCost DecodeCost(FrameSize size, int frames, Device device) => new("decode", 0, 1 << 20, 1);

    public override void Check() { }

    public override string VaeFingerprint() => "means";

    public override string Fingerprint() => "colours";

    protected override string Approximation(Ability ability) => "colours know nothing of it";

    /// <summary>The velocity that leads to the prompt's colour.</summary>
    private sealed class Network : DenoisingNetwork
    {
        public override Tensor Velocity(Tensor latents, NoiseLevel level, double guidance) =>
            (Conditioning!.Held(latents, level).Latents - Prompt!.Prompt.view(1, 3, 1, 1, 1) * 2) / level.Sigma;

        protected override void Embed(EncodedConditioning conditioning, PromptEmbeds prompt) { }

        public override void Dispose() { }
    }

    private sealed class Vae(ToyModel model) : VideoVae
    {
        public override LatentGeometry Geometry => model.Geometry;

        public override Device Device => CPU;

        public override Tensor Normalise(Tensor raw) => model.Normalise(raw);

        public override Tensor Denormalise(Tensor normalised) => model.Denormalise(normalised);

        public override IVaeStream NewEncoder() => new Stream(frames => nn.functional.avg_pool3d(frames, [2, 8, 8]));

        public override IVaeStream NewDecoder() => new Stream(latents => nn.functional.interpolate(latents, scale_factor: [2, 8, 8]));

        public override void Dispose() { }
    }

    private sealed class Stream(Func<Tensor, Tensor> map) : IVaeStream
    {
        public Tensor Push(Tensor part) => map(part);

        public void Dispose() { }
    }
}
