using System.Text.Json.Nodes;

namespace Sora.Models.Depth;

/// <summary>The sizes of a <see cref="LatentDepthHead"/>; every field is one of its <c>config.json</c>.</summary>
public sealed record LatentDepthConfig
{
    /// <summary>What configs call it.</summary>
    internal const string Class = "LatentDepthHead";

    /// <summary>Channels of the latents.</summary>
    public int LatentChannels { get; init; } = 96;

    /// <summary>Channels on the grid of the latents.</summary>
    public int Width { get; init; } = 128;

    /// <summary>Blocks there; each looks one latent, in space and in time, further.</summary>
    public int NumBlocks { get; init; } = 4;

    /// <summary>Channels on the finer grid.</summary>
    public int FineWidth { get; init; } = 48;

    /// <summary>Blocks there.</summary>
    public int NumFineBlocks { get; init; } = 3;

    /// <summary>Rows and columns of the finer grid for each of the latents'.</summary>
    public int FineFactor { get; init; } = 4;

    /// <summary>Pixels a side of a latent: a multiple of <see cref="FineFactor"/>.</summary>
    public int SpatialFactor { get; init; } = 16;

    /// <summary>Frames of a latent frame after the first.</summary>
    public int TemporalFactor { get; init; } = 4;

    /// <summary>Frames of the first latent frame: the last of the <see cref="TemporalFactor"/> that the network makes of it.</summary>
    public int FirstFrames { get; init; } = 1;

    /// <summary>How frames map to latents.</summary>
    public LatentGeometry Geometry => new(LatentChannels, TemporalFactor, SpatialFactor, FirstFrames);

    /// <summary>Reads a <c>config.json</c>.</summary>
    /// <exception cref="SoraException">It is of another class, or its fields contradict each other.</exception>
    internal static LatentDepthConfig From(ConfigFile file)
    {
        if (file.ClassName != Class)
            throw SoraException.Failed($"{file.Path}: unknown depth head {file.ClassName ?? "(no _class_name)"}", $"{Class} is supported");
        var fallback = new LatentDepthConfig();
        var config = new LatentDepthConfig
        {
            LatentChannels = file.Size("latent_channels", fallback.LatentChannels),
            Width = file.Size("width", fallback.Width),
            NumBlocks = file.Size("num_blocks", fallback.NumBlocks),
            FineWidth = file.Size("fine_width", fallback.FineWidth),
            NumFineBlocks = file.Size("num_fine_blocks", fallback.NumFineBlocks),
            FineFactor = file.Size("fine_factor", fallback.FineFactor),
            SpatialFactor = file.Size("scale_factor_spatial", fallback.SpatialFactor),
            TemporalFactor = file.Size("scale_factor_temporal", fallback.TemporalFactor),
            FirstFrames = file.Size("first_frames", fallback.FirstFrames),
        };
        if (config.SpatialFactor % config.FineFactor != 0)
        {
            throw SoraException.Damaged(
                $"{file.Path}: scale_factor_spatial ({config.SpatialFactor}) is no multiple of fine_factor ({config.FineFactor})"
            );
        }
        if (config.FirstFrames > config.TemporalFactor)
        {
            throw SoraException.Damaged(
                $"{file.Path}: first_frames ({config.FirstFrames}) is above scale_factor_temporal ({config.TemporalFactor})"
            );
        }
        return config;
    }

    /// <summary>The <c>config.json</c> that <see cref="From"/> reads.</summary>
    public JsonObject ToJson() =>
        new()
        {
            ["_class_name"] = Class,
            ["fine_factor"] = FineFactor,
            ["fine_width"] = FineWidth,
            ["first_frames"] = FirstFrames,
            ["latent_channels"] = LatentChannels,
            ["num_blocks"] = NumBlocks,
            ["num_fine_blocks"] = NumFineBlocks,
            ["scale_factor_spatial"] = SpatialFactor,
            ["scale_factor_temporal"] = TemporalFactor,
            ["width"] = Width,
        };
}
