using Sora.Nn;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Sora.Models.Wan;

/// <summary>What a Wan transformer gets for one pass.</summary>
public sealed record TransformerInput
{
    /// <summary>Noisy latents, normalised, and mask and condition channels where the model has them: <c>[B, C, T, h, w]</c>.</summary>
    public required Tensor HiddenStates { get; init; }

    /// <summary>
    /// Timesteps in [0, 1000], fractions allowed: <c>[B]</c>, or <c>[D]</c>, for <see cref="TimestepIndex"/> to choose from.
    /// </summary>
    public required Tensor Timestep { get; init; }

    /// <summary>Which of <see cref="Timestep"/> each token has, int64 <c>[B, tokens]</c>; null: one for each clip.</summary>
    public Tensor? TimestepIndex { get; init; }

    /// <summary>
    /// Rows of the text encoder, <c>[B, n, text_dim]</c>; the rest up to <see cref="TextLength"/> are zeros. Not looked
    /// at where <see cref="Context"/> is given.
    /// </summary>
    public Tensor? Text { get; init; }

    /// <summary>Rows that the model attends to, zero rows included: there is no mask in this model.</summary>
    public long TextLength { get; init; } = 512;

    /// <summary>Rows of the image encoder, <c>[B, n, image_dim]</c>; <c>[2 B, n, image_dim]</c> for first and last frame.</summary>
    public Tensor? Image { get; init; }

    /// <summary>Text and image already embedded by <see cref="WanTransformer.Embed"/>, for use in every step.</summary>
    public TextContext? Context { get; init; }

    /// <summary>The control video of VACE, <c>[B, 96, T', h', w']</c>.</summary>
    public Tensor? Control { get; init; }

    /// <summary>A factor for each control hint; null: ones.</summary>
    public IReadOnlyList<double>? ControlScale { get; init; }

    /// <summary>
    /// Gets the tokens <c>[B, L, dim]</c> after each block, by the block's
    /// number, with their gradient; they last as long as the call.
    /// </summary>
    public Action<int, Tensor>? AfterBlock { get; init; }

    /// <summary>
    /// The hidden states of a network that makes scenes: latents and scene,
    /// followed by a channel that is the scene's noise level.
    /// </summary>
    /// <param name="state">Latents and scene, noisy, <c>[B, C, T, h, w]</c>.</param>
    /// <param name="sigma">The scene's noise level, of a shape that expands to <c>[B, 1, T, h, w]</c>.</param>
    internal static Tensor OfScene(Tensor state, Tensor sigma) => cat([state, sigma.expand_as(state.narrow(1, 0, 1))], 1);
}

/// <summary>
/// The diffusion transformer of Wan (https://arxiv.org/abs/2503.20314, section 4.2): tokens of latent video with 3D
/// rotary positions, modulated by the timestep, attending to each other and to the text. It predicts the velocity
/// of flow matching.
/// </summary>
public sealed class WanTransformer : IDisposable
{
    private readonly PatchEmbedding patchEmbedding;
    private readonly ConditionEmbedder conditions;
    private readonly BlockList<WanBlock> blocks;
    private readonly BlockList<CrossAttentionKeys> textKeys;
    private readonly int first;
    private readonly VaceBranch? vace;
    private readonly RotaryPositions positions;
    private readonly Tensor scaleShiftTable;
    private readonly Linear projOut;

    /// <summary>
    /// Builds the transformer over <paramref name="weights"/>, which must outlive it. They say how many blocks stay in
    /// memory.
    /// </summary>
    /// <exception cref="SoraException">A tensor is missing or has another shape than the config says.</exception>
    public WanTransformer(WanTransformerConfig config, Weights weights)
    {
        Config = config;
        var patch = config.PatchSize.Frames * config.PatchSize.Rows * config.PatchSize.Columns;
        patchEmbedding = new(config, weights.Scope("patch_embedding"), config.InChannels);
        conditions = new(config, weights.Scope("condition_embedder"));
        // VACE's blocks run before the main ones.
        first = config.VaceLayers?.Count ?? 0;
        var parts = Enumerable
            .Range(0, first)
            .Select(i => weights.Scope("vace_blocks", i))
            .Concat(Enumerable.Range(0, config.NumLayers).Select(i => weights.Scope("blocks", i)))
            .ToList();
        blocks = new(parts, (_, part) => new WanBlock(config, part)) { Repeats = true };
        textKeys = new(parts, (_, part) => new CrossAttentionKeys(config, part.Scope("attn2")));
        vace = config.VaceLayers is null ? null : new VaceBranch(config, weights, blocks);
        positions = new(config.AttentionHeadDim);
        scaleShiftTable = weights.Full.Get("scale_shift_table", Init.Normal(1 / Math.Sqrt(config.Dim)), 1, 2, config.Dim);
        projOut = new(weights.Scope("proj_out"), config.Dim, config.OutChannels * patch);
        blocks.Check();
        textKeys.Check();
    }

    /// <summary>The sizes.</summary>
    public WanTransformerConfig Config { get; }

    /// <summary>Gets intermediate results by name.</summary>
    public Action<string, Tensor>? Observer { get; set; }

    /// <summary>The type of the matrix products of its blocks; null: that of the weights.</summary>
    public ScalarType? Products { get; init; }

    /// <summary>
    /// Embeds text and image, and computes the keys and values that every block's cross attention has for them: they
    /// are the same in every sampling step.
    /// </summary>
    /// <param name="text">As <see cref="TransformerInput.Text"/>.</param>
    /// <param name="textLength">As <see cref="TransformerInput.TextLength"/>.</param>
    /// <param name="image">As <see cref="TransformerInput.Image"/>.</param>
    public TextContext Embed(Tensor text, long textLength = 512, Tensor? image = null)
    {
        using var scope = NewDisposeScope();
        var trace = new Trace(Observer);
        var rows = conditions.EmbedText(text.to(patchEmbedding.DType), textLength); // [B, n, dim]
        trace.Show("text", rows.Rows);
        var imageRows = image is null ? null : conditions.EmbedImage(image.to(patchEmbedding.DType), text.shape[0], trace.Of("image"));
        return new TextContext([.. Enumerable.Range(0, textKeys.Count).Select(i => textKeys.Run(i, keys => keys.Embed(rows, imageRows)))]);
    }

    /// <summary>One pass.</summary>
    /// <returns>The predicted velocity in the type of the weights, <c>[B, C_out, T, h, w]</c>.</returns>
    /// <exception cref="ArgumentException">The input lacks what this kind of model needs.</exception>
    public Tensor Forward(TransformerInput input)
    {
        using var scope = NewDisposeScope();
        var trace = new Trace(Observer);
        var latents = input.HiddenStates.to(patchEmbedding.DType); // [B, C, T, h, w]
        var grid = TokenPatches.Grid(Config, latents);
        var rotary = positions.Table(grid.Frames, grid.Rows, grid.Columns, latents.device); // [L, 1, headDim / 2]

        var x = patchEmbedding.Forward(TokenPatches.Fold(Config, latents)); // [B, L, dim]
        trace.Show("patch_embedding", x);
        var time = conditions.EmbedTime(input.Timestep, input.TimestepIndex, x.dtype, trace);
        using var ownContext = input.Context is null
            ? Embed(input.Text ?? throw new ArgumentException("neither Text nor Context"), input.TextLength, input.Image)
            : null;
        var context = input.Context ?? ownContext!;

        var pass = new PassContext(time, context, rotary, Products ?? x.dtype);
        var hints = vace?.Hints(x, input, pass, trace);
        for (var i = 0; i < Config.NumLayers; i++)
        {
            var (own, part) = (pass.Of(first + i), i == 0 ? trace.Of("block0") : default);
            var y = blocks.Run(first + i, block => block.Forward(x, own, part));
            if (!ReferenceEquals(x, y))
                x.Dispose();
            x = y;
            trace.Show($"block{i}", x);
            if (hints?.Remove(i, out var hint) == true)
                x = Ops.AddInto(x, hint);
            input.AfterBlock?.Invoke(i, x);
        }

        var wide = functional.layer_norm(x.to(float32), [Config.Dim], eps: Config.Eps); // [B, L, dim]
        trace.Show("norm_out", wide);
        var (shift, scale) = time.OfHead(scaleShiftTable); // each [B, 1 or L, dim]
        x = projOut.Forward(shift.addcmul(wide, scale.add(1), 1).to(x.dtype)); // [B, L, pt ph pw C_out]
        trace.Show("proj_out", x);
        return TokenPatches.Unfold(Config, x, grid).MoveToOuterDisposeScope(); // [B, C_out, T, h, w]
    }

    /// <summary>Ends the reading of blocks that don't stay in memory; the weights are the caller's to free, afterwards.</summary>
    public void Dispose()
    {
        blocks.Dispose();
        textKeys.Dispose();
    }
}

/// <summary>
/// Keys and values of one prompt (and image) for every cross attention of a transformer, ready for all steps.
/// </summary>
public sealed class TextContext : IDisposable
{
    private readonly IReadOnlyList<CrossAttention.Memory> memories;

    /// <param name="memories">One for each block, in the order of <see cref="BlockList{T}"/>.</param>
    internal TextContext(IReadOnlyList<CrossAttention.Memory> memories)
    {
        this.memories = memories;
        foreach (var memory in memories)
            memory.ForEach(tensor => tensor.DetachFromDisposeScope());
    }

    internal CrossAttention.Memory this[int block] => memories[block];

    /// <summary>Frees the keys and values.</summary>
    public void Dispose()
    {
        foreach (var memory in memories)
            memory.ForEach(tensor => tensor.Dispose());
    }
}

/// <summary>What every block of one pass shares.</summary>
internal readonly record struct PassContext(TimeEmbedding Time, TextContext Text, Tensor Rotary, ScalarType Products)
{
    /// <summary>The part of block <paramref name="index"/>.</summary>
    public BlockContext Of(int index) => new(Time, Text[index], Rotary, Products);
}

/// <summary>What one block gets of it.</summary>
internal readonly record struct BlockContext(TimeEmbedding Time, CrossAttention.Memory Text, Tensor Rotary, ScalarType Products);

/// <summary>Self-attention, cross attention, feed-forward; the first and the last are modulated by the timestep.</summary>
internal sealed class WanBlock
{
    private readonly long dim;
    private readonly double eps;
    private readonly Tensor scaleShiftTable;
    private readonly SelfAttention attn1;
    private readonly CrossAttention attn2;
    private readonly Linear up;
    private readonly Linear down;
    private readonly (Tensor Weight, Tensor Bias)? norm2;

    public WanBlock(WanTransformerConfig config, Weights weights)
    {
        (dim, eps) = (config.Dim, config.Eps);
        scaleShiftTable = weights.Full.Get("scale_shift_table", Init.Normal(1 / Math.Sqrt(dim)), 1, 6, dim);
        attn1 = new(config, weights.Scope("attn1"));
        attn2 = new(config, weights.Scope("attn2"));
        if (config.CrossAttnNorm)
            norm2 = (weights.Full.Get("norm2.weight", Init.Ones, dim), weights.Full.Get("norm2.bias", Init.Zeros, dim));
        up = new(weights.Scope("ffn.net.0.proj"), dim, config.FfnDim);
        down = new(weights.Scope("ffn.net.2"), config.FfnDim, dim);
    }

    /// <param name="x"><c>[B, L, dim]</c>; where no gradient is wanted it is overwritten and returned.</param>
    /// <param name="context">Timestep, text and positions.</param>
    /// <param name="trace">Of this block.</param>
    public Tensor Forward(Tensor x, BlockContext context, Trace trace = default)
    {
        using var scope = NewDisposeScope();
        var y = SelfAttend(x, context, trace);
        y = AttendToText(y, context, trace);
        y = FeedForward(y, context, trace);
        return Ops.Leave(y, x);
    }

    private Tensor SelfAttend(Tensor x, BlockContext context, Trace trace)
    {
        using var scope = NewDisposeScope();
        var y = Modulate(x, context, (Modulation.ShiftMsa, Modulation.ScaleMsa), trace, "norm1");
        y = attn1.Forward(y, context.Rotary, trace.Of("attn1"));
        trace.Show("attn1", y);
        return Ops.Leave(AddGated(x, y, context.Time.Of(scaleShiftTable, Modulation.GateMsa)), x);
    }

    private Tensor AttendToText(Tensor x, BlockContext context, Trace trace)
    {
        using var scope = NewDisposeScope();
        var y = norm2 is { } norm
            ? functional.layer_norm(x.to(float32), [dim], norm.Weight, norm.Bias, eps).to(context.Products)
            : x.to(context.Products);
        trace.Show("norm2", y);
        y = attn2.Forward(y, context.Text).to(x.dtype);
        trace.Show("attn2", y);
        return Ops.Leave(Ops.AddInto(x, y), x);
    }

    private Tensor FeedForward(Tensor x, BlockContext context, Trace trace)
    {
        using var scope = NewDisposeScope();
        var y = Modulate(x, context, (Modulation.ShiftMlp, Modulation.ScaleMlp), trace, "norm3");
        y = up.ForwardGelu(y); // [B, L, ffn]
        trace.Show("ffn.gelu", y);
        y = down.Forward(y); // [B, L, dim]
        trace.Show("ffn", y);
        return Ops.Leave(AddGated(x, y, context.Time.Of(scaleShiftTable, Modulation.GateMlp)), x);
    }

    /// <summary>LN(x) (1 + scale) + shift, computed in float32, in the type of products.</summary>
    private Tensor Modulate(Tensor x, BlockContext context, (Modulation Shift, Modulation Scale) by, Trace trace, string name)
    {
        using var scope = NewDisposeScope();
        var y = functional.layer_norm(x.to(float32), [dim], eps: eps);
        trace.Show(name, y);
        var (shift, scale) = (context.Time.Of(scaleShiftTable, by.Shift), context.Time.Of(scaleShiftTable, by.Scale)); // [B, 1 or L, dim]
        return shift.addcmul(y, scale.add(1), 1).to(context.Products).MoveToOuterDisposeScope();
    }

    /// <summary>x + y gate, in float32; into x where no gradient is wanted.</summary>
    private static Tensor AddGated(Tensor x, Tensor y, Tensor gate)
    {
        if (x.dtype != float32)
        {
            using var scope = NewDisposeScope();
            return x.to(float32).addcmul(y.to(float32), gate, 1).to(x.dtype).MoveToOuterDisposeScope();
        }
        if (!Ops.NeedsNoGradient(x, y, gate))
            return x.addcmul(y.to(float32), gate, 1).MoveToOuterDisposeScope();
        x.addcmul_(y.to(float32), gate, 1);
        return x;
    }
}
