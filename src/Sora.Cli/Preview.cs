using System.Diagnostics;
using Sora.Clips;
using Sora.Media;
using Sora.Models;
using Sora.Tensors;
using TorchSharp;

namespace Sora.Cli;

/// <summary>
/// Shows the current estimate of a run in a file: after the first model call, and again whenever previews have
/// taken only a small part of the run so far.
/// </summary>
/// <param name="path">A picture gets a row of frames, a video all of them.</param>
/// <param name="fps">A video's frames per second.</param>
/// <param name="run">Stops the run.</param>
internal sealed class Preview(string path, double fps, Run run) : IDisposable
{
    /// <summary>The part of the run's time that previews may take.</summary>
    private const double Share = 0.15;

    private readonly VideoFormat format = VideoWriter.FormatOf(path);
    private readonly long began = Stopwatch.GetTimestamp();
    private TimeSpan spent;
    private FrameCodec? codec;

    /// <summary>Draws raw latents [1, C, T, h, w] of a model, if it is time.</summary>
    public void Show(VideoModel model, torch.Tensor latents)
    {
        if (spent > Stopwatch.GetElapsedTime(began) * Share)
            return;
        var start = Stopwatch.GetTimestamp();
        codec ??= FrameCodec.Open(model);
        var host = TensorIO.ToHost(latents);
        var count = model.Geometry.VideoFrames(host.Shape[2]);
        var frames = codec.Decode(host, LatentSpace.Raw, run.Cancel);
        if (VideoWriter.HoldsStills(format))
            FrameSheet.Row(frames, count).Save(path, run.Cancel);
        else
            WriteVideo(frames, count);
        spent += Stopwatch.GetElapsedTime(start);
    }

    /// <summary>Frees the VAE.</summary>
    public void Dispose() => codec?.Dispose();

    private void WriteVideo(IEnumerable<Image> frames, int count)
    {
        VideoWriter? writer = null;
        try
        {
            foreach (var frame in frames)
            {
                writer ??= VideoWriter.Create(
                    path,
                    new VideoWriterOptions
                    {
                        Width = frame.Width,
                        Height = frame.Height,
                        Fps = fps,
                        Frames = count,
                    },
                    run.Cancel
                );
                writer.Write(frame);
            }
            writer?.Complete();
        }
        finally
        {
            writer?.Dispose();
        }
    }
}
