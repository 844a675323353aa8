using System.Text;

namespace Sora.World;

/// <summary>A picture of several sampled clips: a clip in each row, its frames from left to right.</summary>
/// <param name="Width">Pixels in a row of the picture.</param>
/// <param name="Height">Rows of pixels.</param>
/// <param name="Rgb">Colour [H, W, 3].</param>
/// <param name="Captions">One line for each row of clips.</param>
public sealed record WorldSheet(int Width, int Height, byte[] Rgb, IReadOnlyList<string> Captions)
{
    private const int Gap = 2;

    /// <summary>
    /// Draws <paramref name="rows"/> scenes of so many frames, of which <paramref name="columns"/> are shown, evenly spread.
    /// </summary>
    public static WorldSheet Draw(ulong seed, int rows, int columns, int size, int frames)
    {
        var scenes = new Scene[rows];
        for (var i = 0; i < rows; i++)
            scenes[i] = SceneSampler.Draw(new Rng(seed, (ulong)i), new SceneOptions { Frames = frames });
        var captions = scenes.Select((s, i) => World.Captions.Write(s, new Rng(seed + 1, (ulong)i), CaptionStyle.Full));
        return Draw(scenes, [.. captions], columns, new SheetFormat(size, size, frames));
    }

    /// <summary>Draws given scenes with their captions.</summary>
    public static WorldSheet Draw(IReadOnlyList<Scene> scenes, IReadOnlyList<string> captions, int columns, SheetFormat format)
    {
        var (w, h, frames) = format;
        columns = Math.Min(columns, frames);
        int width = columns * (w + Gap) - Gap,
            height = scenes.Count * (h + Gap) - Gap;
        var rgb = new byte[3 * width * height];
        rgb.AsSpan().Fill(255);
        for (var row = 0; row < scenes.Count; row++)
        {
            var clip = Renderer.Render(scenes[row], w, h, frames);
            for (var column = 0; column < columns; column++)
            {
                var frame = columns == 1 ? 0 : column * (frames - 1) / (columns - 1);
                for (var line = 0; line < h; line++)
                    clip.Rgb.AsSpan(3 * ((frame * h + line) * w), 3 * w)
                        .CopyTo(rgb.AsSpan(3 * ((row * (h + Gap) + line) * width + column * (w + Gap))));
            }
        }
        return new WorldSheet(width, height, rgb, captions);
    }

    /// <summary>The captions, one numbered line each.</summary>
    public string Legend()
    {
        var text = new StringBuilder();
        for (var i = 0; i < Captions.Count; i++)
            text.Append(i + 1).Append(": ").Append(Captions[i]).Append('\n');
        return text.ToString();
    }
}

/// <summary>The size of each clip of a sheet.</summary>
public readonly record struct SheetFormat(int Width, int Height, int Frames);
