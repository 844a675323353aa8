using Sora.Models.Checkpoints;
using Sora.Models.Wan;
using Xunit;

namespace Sora.Tests.Models;

public class CheckpointTableTests
{
    public static TheoryData<string, string> Published() =>
        new()
        {
            { "Wan2.1-T2V-1.3B", "Wan2.1-T2V-1.3B-Diffusers" },
            { "Wan2.1-T2V-14B", "Wan2.1-T2V-14B-Diffusers" },
            { "Wan2.1-I2V-14B-480P", "Wan2.1-I2V-14B-480P-Diffusers" },
            { "Wan2.1-I2V-14B-720P", "Wan2.1-I2V-14B-720P-Diffusers" },
            { "Wan2.1-FLF2V-14B-720P", "Wan2.1-FLF2V-14B-720P-diffusers" },
            { "Wan2.1-VACE-1.3B", "Wan2.1-VACE-1.3B-diffusers" },
            { "Wan2.1-VACE-14B", "Wan2.1-VACE-14B-diffusers" },
            { "Wan2.2-TI2V-5B", "Wan2.2-TI2V-5B-Diffusers" },
            { "Wan2.2-T2V-A14B", "Wan2.2-T2V-A14B-Diffusers" },
            { "Wan2.2-I2V-A14B", "Wan2.2-I2V-A14B-Diffusers" },
        };

    [Theory]
    [MemberData(nameof(Published))]
    public void APublishedModelIsKnownByItsSizes(string expected, string name)
    {
        var known = CheckpointTable.Find(Traits(name));
        Assert.Equal(expected, known?.Name);
        Assert.Equal("Apache License 2.0", known!.Licence);
        Assert.StartsWith("色调艳丽", known.Defaults["negative"]!.GetValue<string>());
        Assert.Equal(
            name.Contains("A14B")
                ? name.Contains("T2V-A")
                    ? 0.875
                    : 0.9
                : (double?)null,
            known.Boundary
        );
    }

    [Fact]
    public void OthersAreNot() =>
        Assert.Null(
            CheckpointTable.Find(
                new ModelTraits(
                    "tiny",
                    new WanTransformerConfig { NumLayers = 2 },
                    1,
                    false,
                    new Lazy<string>(() => throw new InvalidOperationException())
                )
            )
        );

    private static ModelTraits Traits(string name)
    {
        var config = name switch
        {
            _ when name.Contains("VACE-1.3B") => WanTransformerConfig.Wan21Vace1_3B,
            _ when name.Contains("VACE-14B") => WanTransformerConfig.Wan21Vace14B,
            _ when name.Contains("1.3B") => WanTransformerConfig.Wan21T2V1_3B,
            _ when name.Contains("FLF2V") => WanTransformerConfig.Wan21Flf2V14B,
            _ when name.Contains("I2V-14B") => WanTransformerConfig.Wan21I2V14B,
            _ when name.Contains("TI2V") => WanTransformerConfig.Wan22TI2V5B,
            _ when name.Contains("I2V-A14B") => WanTransformerConfig.Wan22I2VA14B,
            _ => WanTransformerConfig.Wan21T2V14B,
        };
        return new ModelTraits(name, config, name.Contains("A14B") ? 2 : 1, false, new Lazy<string>("0123456789abcdef"));
    }
}
