using FFMpegCore.Pipes;

namespace FFMpegCore;

public abstract class FFMpegArgumentsBase
{
    internal readonly List<IArgument> Arguments = [];
}

public sealed class FFMpegArguments : FFMpegArgumentsBase
{
    private FFMpegArguments() { }

    public string Text => string.Join(" ", Arguments.Select(argument => argument.Text));

    public static FFMpegArguments FromFileInput(string filePath, bool verifyExists = true, Action<FFMpegArgumentOptions>? addArguments = null) =>
        new FFMpegArguments().With(new InputArgument(verifyExists, filePath), addArguments);

    public static FFMpegArguments FromPipeInput(IPipeSource sourcePipe, Action<FFMpegArgumentOptions>? addArguments = null) =>
        new FFMpegArguments().With(new InputPipeArgument(sourcePipe), addArguments);

    public FFMpegArgumentProcessor OutputToFile(string file, bool overwrite = true, Action<FFMpegArgumentOptions>? addArguments = null) =>
        new(With(new OutputArgument(file, overwrite), addArguments));

    public FFMpegArgumentProcessor OutputToUrl(string uri, Action<FFMpegArgumentOptions>? addArguments = null) =>
        new(With(new CustomArgument(uri), addArguments));

    private FFMpegArguments With(IArgument inputOrOutput, Action<FFMpegArgumentOptions>? addArguments)
    {
        var options = new FFMpegArgumentOptions();
        addArguments?.Invoke(options);
        Arguments.AddRange(options.Arguments);
        Arguments.Add(inputOrOutput);
        return this;
    }

    internal void Pre()
    {
        foreach (var argument in Arguments.OfType<IInputOutputArgument>()) argument.Pre();
    }

    internal Task During(CancellationToken cancellationToken) =>
        Task.WhenAll(Arguments.OfType<IInputOutputArgument>().Select(argument => argument.During(cancellationToken)));

    internal void Post()
    {
        foreach (var argument in Arguments.OfType<IInputOutputArgument>()) argument.Post();
    }
}
