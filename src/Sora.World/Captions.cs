namespace Sora.World;

/// <summary>How much a caption says, and in which words.</summary>
public enum CaptionStyle
{
    /// <summary>Everything, in plain words and the usual order.</summary>
    Canonical,

    /// <summary>Everything, with synonyms and in any order.</summary>
    Full,

    /// <summary>For training: mostly everything, at times with omissions, now and then a few words only.</summary>
    Mixed,

    /// <summary>Only some of it: "the ball bounces", "at night", "it stops and spins".</summary>
    Sparse,
}

/// <summary>Describes scenes in words; what a caption says is always true of its scene.</summary>
public static class Captions
{
    private static readonly Lazy<IReadOnlyList<string>> AllWords = new(CollectVocabulary);

    /// <summary>Every word that a caption can contain, in alphabetical order, lower case, without <see cref="Marks"/>.</summary>
    public static IReadOnlyList<string> Vocabulary => AllWords.Value;

    /// <summary>The punctuation marks that a caption can contain.</summary>
    public static IReadOnlyList<string> Marks => Words.Marks;

    /// <summary>The caption that names every attribute in plain words.</summary>
    public static string Canonical(Scene scene) => Write(scene, new Rng(0), CaptionStyle.Canonical);

    /// <summary>A caption of a scene. The same generator and style give the same caption.</summary>
    public static string Write(Scene scene, Rng rng, CaptionStyle style)
    {
        if (style == CaptionStyle.Mixed)
        {
            var mood = rng.Uniform();
            style =
                mood < 0.12 ? CaptionStyle.Sparse
                : mood < 0.34 ? CaptionStyle.Canonical
                : CaptionStyle.Full;
            if (mood > 0.8)
                return new Writer(scene, rng, style, 0.3).Sentence();
        }
        var writer = new Writer(scene, rng, style, 0);
        return style == CaptionStyle.Sparse ? writer.Fragment() : writer.Sentence();
    }

    private static IReadOnlyList<string> CollectVocabulary()
    {
        string[][][] tables =
        [
            Words.Shapes,
            Words.Colours,
            Words.Sizes,
            Words.Grounds,
            Words.Skies,
            Words.Cameras,
            Words.Motions,
            Words.FollowUps,
            Words.Relations,
            [Words.Beside, Words.Collides, Words.Passes, Words.Circles, Words.Openings, Words.Joints],
        ];
        var phrases = tables.SelectMany(table => table).SelectMany(list => list);
        return [.. phrases.SelectMany(Split).Distinct().Order(StringComparer.Ordinal)];
    }

    /// <summary>The words of a caption, lower case, without punctuation.</summary>
    public static IEnumerable<string> Split(string caption) =>
        caption.ToLowerInvariant().Split([' ', ',', '.', ':', ';'], StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Writes one caption.</summary>
    private sealed class Writer(Scene scene, Rng rng, CaptionStyle style, double omit)
    {
        private const string The = "the ";
        private readonly bool plain = style == CaptionStyle.Canonical;
        private readonly bool still = scene.Duration == 0;

        /// <summary>The whole scene in one sentence, or in clauses with commas.</summary>
        public string Sentence()
        {
            var subject = Subject();
            var ground = Says() ? Choose(Words.Grounds[(int)scene.Ground]) : "";
            var sky = Says() ? Choose(Words.Skies[(int)scene.Sky]) : "";
            var quiet = still || !Says() || (scene.Camera.Move == CameraMove.Static && !plain && rng.Chance(0.4));
            var camera = quiet ? "" : Choose(Words.Cameras[(int)scene.Camera.Move]);
            if (!plain && camera.StartsWith(The, StringComparison.Ordinal) && rng.Chance(0.2))
                camera = camera[The.Length..];
            if (!plain && rng.Chance(0.06))
                subject = Join(" ", rng.Pick(Words.Openings), subject);

            var order = plain ? 0 : rng.Below(6);
            var place = order is 1 or 4 && ground.Length > 0 && sky.Length > 0 ? Join(" ", sky, ground) : Join(" ", ground, sky);
            var sentence = order switch
            {
                2 when sky.Length > 0 => Join(", ", sky, Join(" ", subject, ground), camera),
                3 when camera.Length > 0 => Join(", ", camera, Join(" ", subject, place)),
                4 => Join(", ", place, subject, camera),
                5 when camera.Length > 0 => Join(" ", Join(" ", subject, place), "while", camera),
                _ => Join(", ", Join(" ", subject, place), camera),
            };
            return !plain && rng.Chance(0.08) ? sentence + "." : sentence;
        }

        /// <summary>A few words about one or two attributes.</summary>
        public string Fragment()
        {
            var first = scene.Objects[0];
            var sky = Choose(Words.Skies[(int)scene.Sky]);
            var ground = Choose(Words.Grounds[(int)scene.Ground]);
            var shape = Choose(Words.Shapes[(int)first.Shape]);
            var move = still ? "" : Verb(first);
            var unique = scene.Objects.Count(o => o.Shape == first.Shape) == 1;
            var the = unique ? "the " + shape : "the " + Choose(Words.Colours[(int)first.Colour]) + " " + shape;
            var follow = first.Then == FollowUp.None ? "" : Choose(Words.FollowUps[(int)first.Then]);
            return rng.Below(7) switch
            {
                0 when !still => Join(" ", the, move),
                1 when follow.Length > 0 && scene.Objects.Count == 1 => "it " + follow,
                1 when !still && scene.Objects.Count == 1 => "it " + move,
                2 => Join(" ", the, move, sky),
                3 => Join(" ", the, move, ground),
                4 => "the same " + sky,
                5 => Article(Choose(Words.Colours[(int)first.Colour]) + " " + shape),
                6 when !still => Choose(Words.Cameras[(int)scene.Camera.Move]),
                _ => Join(" ", Article(shape), move, ground, sky),
            };
        }

        /// <summary>The objects, what they do and how they are placed.</summary>
        private string Subject()
        {
            var first = scene.Objects[0];
            if (scene.Objects.Count == 1)
                return Join(" ", Named(0), still || !Says() ? "" : Action(first));

            var text = scene.Interaction switch
            {
                Interaction.Collide => Join(" ", Named(0), Verb(first), Choose(Words.Collides), Named(1)),
                Interaction.PassBehind => Join(" ", Named(0), Verb(first), Choose(Words.Passes), Named(1)),
                Interaction.Circle => Join(" ", Named(0), Choose(Words.Circles), Named(1)),
                _ => Pair(first, scene.Objects[1]),
            };
            if (scene.Objects.Count < 3)
                return text;
            var third = scene.Objects[2];
            var doing = third.Motion == Motion.Still || still ? "" : Verb(third);
            return Join(" ", text, "and", Named(2), Join(" ", doing, Placed(2, 0)));
        }

        /// <summary>Two objects that have nothing to do with each other but their places.</summary>
        private string Pair(SceneObject first, SceneObject second)
        {
            var relation = Placed(0, 1);
            var (a, b) = (Says() && !still ? Action(first) : "", Says() && !still ? Action(second) : "");
            if (relation.Length == 0 || (second.Motion != Motion.Still && b.Length > 0))
                return Join(" ", Join(" ", Named(0), a), "and", Join(" ", Named(1), b));
            return Join(" ", Named(0), a, relation);
        }

        /// <summary>"to the left of a blue cube", where such a relation is known.</summary>
        private string Placed(int subject, int reference)
        {
            foreach (var r in scene.Relations)
            {
                if (r.Subject != subject || r.Reference != reference)
                    continue;
                var sideways = r.Relation is Relation.LeftOf or Relation.RightOf;
                var word = sideways && !plain && rng.Chance(0.25) ? rng.Pick(Words.Beside) : Choose(Words.Relations[(int)r.Relation]);
                return word + " " + (reference == 0 && subject == 2 ? "the " + Bare(0) : Named(reference));
            }
            return "";
        }

        private string Action(SceneObject o)
        {
            if (o.Motion == Motion.Still && !plain && rng.Chance(0.3))
                return "";
            var then =
                o.Then == FollowUp.None ? ""
                : rng.Chance(0.5) || plain ? "then"
                : "and then";
            return o.Then == FollowUp.None ? Verb(o) : Join(" ", Verb(o), then, Choose(Words.FollowUps[(int)o.Then]));
        }

        private string Verb(SceneObject o) => Choose(Words.Motions[(int)o.Motion]);

        /// <summary>"a small red ball".</summary>
        private string Named(int index)
        {
            var o = scene.Objects[index];
            var size = plain || rng.Chance(0.75) && Says() ? Choose(Words.Sizes[(int)o.Size]) : "";
            var colour = Says() ? Choose(Words.Colours[(int)o.Colour]) : "";
            return Article(Join(" ", size, colour, Choose(Words.Shapes[(int)o.Shape])));
        }

        /// <summary>"red ball".</summary>
        private string Bare(int index)
        {
            var o = scene.Objects[index];
            return Choose(Words.Colours[(int)o.Colour]) + " " + Choose(Words.Shapes[(int)o.Shape]);
        }

        private bool Says() => omit == 0 || !rng.Chance(omit);

        private string Choose(string[] phrases) => plain || rng.Chance(0.35) ? phrases[0] : rng.Pick(phrases);

        private static string Article(string noun) => ("aeiou".Contains(noun[0]) ? "an " : "a ") + noun;

        private static string Join(string separator, params string[] parts) => string.Join(separator, parts.Where(p => p.Length > 0));
    }
}
