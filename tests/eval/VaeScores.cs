using Sora.Media;
using Sora.Models;
using Sora.Models.Wan;
using static TorchSharp.torch;

namespace Sora.Eval;

/// <summary>What a VAE keeps of world clips, pictures and footage that it hasn't seen, beside a linear codec.</summary>
internal sealed class VaeScores(CausalVae vae, Footage footage, Report report)
{
    private static readonly LinearCodecSize Size = new(Side: 16, Frames: 4, Components: 48);

    /// <summary>Scores so many world clips and pictures, and every real clip.</summary>
    public void Score(int count, int fitted)
    {
        using var noGradients = no_grad();
        var linear = LinearCodec.Fit(Enumerable.Range(0, fitted).Select(i => Pixels.ToTensor(footage.Training(i), CPU)), Size);
        Console.Error.WriteLine($"eval: fitted the linear codec to {fitted} clips");
        Report.Section("The VAE", "", "PSNR, dB", "SSIM", "linear codec, dB", "SSIM", "floor, dB", "aim, dB");
        Row($"held-out world clips ({count})", "vae_world", Enumerable.Range(0, count).Select(Footage.World), linear, "31", "36");
        Row($"held-out pictures, panned ({count})", "vae_photo", Enumerable.Range(0, count).Select(footage.Photo), linear, "31", "36");
        foreach (var path in footage.Clips())
        {
            var name = Path.GetFileName(path);
            var isTest = name == "vtest.avi";
            Row(
                $"{name}, 256 lines{(isTest ? "" : " (in training)")}",
                $"vae_{Path.GetFileNameWithoutExtension(name).ToLowerInvariant()}",
                [Footage.Clip(path)],
                linear,
                isTest ? "24" : "",
                isTest ? "27" : ""
            );
        }
    }

    private void Row(string name, string key, IEnumerable<Image[]> clips, LinearCodec linear, params string[] goals)
    {
        var (psnr, ssim, linearPsnr, linearSsim) = (new List<double>(), new List<double>(), new List<double>(), new List<double>());
        foreach (var clip in clips)
        {
            using var scope = NewDisposeScope();
            var whole = clip[..vae.Config.Geometry.WholeFrames(clip.Length)];
            var video = Pixels.ToTensor(whole, CPU);
            void Add(Tensor back, List<double> decibels, List<double> similar)
            {
                var frames = Pixels.ToImages(back);
                decibels.Add(Quality.Psnr(frames, whole));
                similar.Add(Quality.Ssim(frames, whole));
            }
            Add(vae.Decode(vae.Encode(video)), psnr, ssim);
            Add(linear.Reconstruct(video), linearPsnr, linearSsim);
        }
        Report.Row(
            name,
            [
                Report.Number(psnr.Average(), 2),
                Report.Number(ssim.Average(), 3),
                Report.Number(linearPsnr.Average(), 2),
                Report.Number(linearSsim.Average(), 3),
                .. goals,
            ]
        );
        report.Value($"{key}_psnr", psnr.Average());
        report.Value($"{key}_ssim", ssim.Average());
        report.Value($"{key}_psnr_linear", linearPsnr.Average());
    }
}
