using System.Text.Json;
using Sora.Models.Checkpoints;
using Sora.Tensors;
using Sora.Tests.Formats;
using Xunit;

namespace Sora.Cli.Tests;

/// <summary>
/// A folder as Wan 2.1's own image-to-video models are published: shards of the transformer and their index, and the VAE, the
/// text encoder and CLIP beside them, each in one file.
/// </summary>
public sealed class OriginalFolderTests : IDisposable
{
    private readonly Bash bash = new();

    public void Dispose() => bash.Dispose();

    [Fact]
    public void IsFoundWholeAndGivesTheSame()
    {
        var golden = Repository.Path("tests", "golden", "models", "wan21-i2v");
        Publish(golden, Path.Combine(bash.Folder, "Wan2.1-I2V"));

        var outcome = bash.Run(
            """
            sora info --model Wan2.1-I2V --json | grep -o '"[a-z_]*":{"class"' | cut -d'"' -f2
            ffmpeg -v error -f lavfi -i testsrc2=size=48x32 -frames:v 1 a.png
            run() {
                sora generate cat --image a.png --size 32x16 --frames 5 --steps 2 --sampler euler --shift 3 --guidance 2 \
                    --text-length 16 --seed 1 "$@"
            }
            run --model Wan2.1-I2V --dry-run > plan; run --model wan21-i2v --dry-run | cmp plan
            run --model Wan2.1-I2V -o a.latent; run --model wan21-i2v -o b.latent
            rm Wan2.1-I2V/models_clip*; run --model Wan2.1-I2V -o c.latent
            """
        );
        Assert.Equal("tokenizer\ntext_encoder\nimage_encoder\ntransformer\nvae\n", outcome.Out);
        Assert.Contains("has no image_encoder", outcome.Err);
        Assert.Contains("--image-encoder", outcome.Err);
        using var a = SafeTensorsFile.Open(Path.Combine(bash.Folder, "a.latent"));
        using var b = SafeTensorsFile.Open(Path.Combine(bash.Folder, "b.latent"));
        Assert.Equal(b.Floats("latent_tensor"), a.Floats("latent_tensor"));
    }

    /// <summary>A small model in that layout; its configs lie beside the files, for shapes tell those of published sizes only.</summary>
    private static void Publish(string model, string folder)
    {
        Directory.CreateDirectory(Path.Combine(folder, "google", "umt5-xxl"));
        void Put(string part, string file, string name) => File.Copy(Path.Combine(model, part, file), Path.Combine(folder, name));
        void PutBoth(string part, string file, string name)
        {
            Put(part, file, name);
            Put(part, "config.json", Path.ChangeExtension(name, ".json"));
        }
        const string shard = "diffusion_pytorch_model-00001-of-00001.safetensors";
        Put("transformer", "diffusion_pytorch_model.safetensors", shard);
        using (var weights = Checkpoint.Open(Path.Combine(folder, shard)))
        {
            var map = new { weight_map = weights.Tensors.Keys.ToDictionary(name => name, _ => shard) };
            File.WriteAllText(Path.Combine(folder, "diffusion_pytorch_model.safetensors.index.json"), JsonSerializer.Serialize(map));
        }
        var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(model, "transformer", "config.json"))).RootElement;
        File.WriteAllText(
            Path.Combine(folder, "config.json"),
            $$"""{"_class_name": "WanModel", "num_heads": {{config.GetProperty("num_attention_heads")}}}"""
        );
        PutBoth("vae", "diffusion_pytorch_model.safetensors", "Wan2.1_VAE.safetensors");
        PutBoth("text_encoder", "model.safetensors", "models_t5_umt5-xxl-enc-bf16.safetensors");
        Put("tokenizer", "tokenizer.json", Path.Combine("google", "umt5-xxl", "tokenizer.json"));
        const string clip = "models_clip_open-clip-xlm-roberta-large-vit-huge-14";
        Put("image_encoder", "config.json", $"{clip}.json");
        using var ours = Checkpoint.Open(Path.Combine(model, "image_encoder"));
        OriginalClip.Write(Path.Combine(folder, $"{clip}.pth"), ours);
    }
}
