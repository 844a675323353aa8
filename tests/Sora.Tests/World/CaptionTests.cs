using Sora.World;
using Xunit;

namespace Sora.Tests.World;

public class CaptionTests
{
    private static readonly CaptionStyle[] Styles = Enum.GetValues<CaptionStyle>();

    private static IEnumerable<(Scene Scene, string Caption)> Drawn(int count, SceneOptions options)
    {
        for (var i = 0; i < count; i++)
        {
            var scene = SceneSampler.Draw(new Rng(31, (ulong)i), options);
            foreach (var style in Styles)
                yield return (scene, Captions.Write(scene, new Rng(32, (ulong)i), style));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(9)]
    [InlineData(33)]
    public void EveryWordIsInTheVocabulary(int frames)
    {
        var known = Captions.Vocabulary.ToHashSet();
        foreach (var (_, caption) in Drawn(120, new SceneOptions { Frames = frames }))
            Assert.All(Captions.Split(caption), word => Assert.Contains(word, known));
    }

    [Fact]
    public void CaptionsAreTrue()
    {
        foreach (var (scene, caption) in Drawn(250, new SceneOptions { Count = 1, Frames = 33 }))
        {
            var o = scene.Objects[0];
            var rest = " " + string.Join(' ', Captions.Split(caption)) + " ";
            // What is right is taken out, longest phrase first; nothing that is wrong may be left.
            rest = Without(rest, Words.Grounds[(int)scene.Ground], Words.Skies[(int)scene.Sky]);
            var camera = Words.Cameras[(int)scene.Camera.Move];
            string[] shorter = [.. camera.Where(c => c.StartsWith("the ")).Select(c => c["the ".Length..])];
            rest = Without(rest, camera, shorter, Words.FollowUps[(int)o.Then], Words.Openings);
            rest = Without(rest, Words.Motions[(int)o.Motion], []);
            rest = Without(rest, Words.Colours[(int)o.Colour], Words.Shapes[(int)o.Shape]);
            rest = Without(rest, Words.Sizes[(int)o.Size], Words.Joints);
            Assert.True(rest.Trim().Length == 0, $"'{rest}' is left of: {caption}");
        }
    }

    private static string Without(string text, params string[][] phrases)
    {
        foreach (var phrase in phrases.SelectMany(p => p).OrderByDescending(p => p.Length))
            while (text.Contains($" {phrase} "))
                text = text.Replace($" {phrase} ", "  ");
        return text;
    }

    [Fact]
    public void NoPhraseMeansTwoThings()
    {
        foreach (var table in new[] { Words.Shapes, Words.Colours, Words.Sizes, Words.Grounds, Words.Skies, Words.Cameras, Words.Motions })
        {
            var phrases = table.SelectMany(list => list).ToArray();
            Assert.Equal(phrases.Length, phrases.Distinct().Count());
        }
    }

    [Fact]
    public void TablesCoverEveryLabel()
    {
        Assert.Equal(Enum.GetValues<Shape>().Length, Words.Shapes.Length);
        Assert.Equal(Enum.GetValues<Colour>().Length, Words.Colours.Length);
        Assert.Equal(Enum.GetValues<ObjectSize>().Length, Words.Sizes.Length);
        Assert.Equal(Enum.GetValues<Ground>().Length, Words.Grounds.Length);
        Assert.Equal(Enum.GetValues<Sky>().Length, Words.Skies.Length);
        Assert.Equal(Enum.GetValues<CameraMove>().Length, Words.Cameras.Length);
        Assert.Equal(Enum.GetValues<Motion>().Length, Words.Motions.Length);
        Assert.Equal(Enum.GetValues<FollowUp>().Length, Words.FollowUps.Length);
        Assert.Equal(Enum.GetValues<Relation>().Length, Words.Relations.Length);
    }

    [Fact]
    public void StillsSayNothingOfMotion()
    {
        var moving = Words.Motions.Concat(Words.Cameras).SelectMany(list => list).ToArray();
        foreach (var (_, caption) in Drawn(80, new SceneOptions { Frames = 1 }))
            Assert.DoesNotContain(moving, phrase => (" " + caption + " ").Contains($" {phrase} "));
    }

    [Fact]
    public void AMirroredSceneSwapsLeftAndRight()
    {
        for (var i = 0; i < 80; i++)
        {
            var scene = SceneSampler.Draw(new Rng(33, (ulong)i), new SceneOptions());
            var swapped = Captions.Canonical(scene).Replace("left", "\0").Replace("right", "left").Replace("\0", "right");
            Assert.Equal(swapped, Captions.Canonical(scene.Mirror()));
        }
    }

    [Fact]
    public void TheSameGeneratorWritesTheSameCaption()
    {
        var scene = SceneSampler.Draw(new Rng(34), new SceneOptions());
        var captions = Enumerable.Range(0, 50).Select(i => Captions.Write(scene, new Rng(1, (ulong)i), CaptionStyle.Full)).ToArray();
        Assert.Equal(captions, Enumerable.Range(0, 50).Select(i => Captions.Write(scene, new Rng(1, (ulong)i), CaptionStyle.Full)));
        Assert.True(captions.Distinct().Count() > 25);
    }
}
