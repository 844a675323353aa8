using System.CommandLine;
using System.Globalization;

namespace Sora.Eval;

/// <summary>
/// Scores a model on the fixed prompts; <c>judge</c> trains and tests the network that does so, and <c>depth</c> measures how much depth
/// flickers.
/// </summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        CultureInfo.CurrentCulture = CultureInfo.DefaultThreadCurrentCulture = CultureInfo.InvariantCulture;
        var root = Evaluation.Create();
        root.Add(JudgeCommand.Create());
        root.Add(StereoScores.Create());
        root.Add(DepthFlicker.Create());
        try
        {
            return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (SoraException error)
        {
            Console.Error.WriteLine($"eval: {error.Message}{(error.Hint is { } hint ? $" ({hint})" : "")}");
            return (int)error.Kind;
        }
    }
}
