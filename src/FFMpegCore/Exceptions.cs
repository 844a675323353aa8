namespace FFMpegCore.Exceptions;

public enum FFMpegExceptionType
{
    Conversion,
    File,
    Operation,
    Process
}

public class FFMpegException : Exception
{
    public FFMpegException(FFMpegExceptionType type, string message, Exception? innerException = null, string ffMpegErrorOutput = "")
        : base(message, innerException)
    {
        Type = type;
        FFMpegErrorOutput = ffMpegErrorOutput;
    }

    public FFMpegExceptionType Type { get; }

    public string FFMpegErrorOutput { get; }
}

public class FFProbeException : Exception
{
    public FFProbeException(string message, Exception? inner = null) : base(message, inner) { }
}

public class FormatNullException : FFProbeException
{
    public FormatNullException() : base("Format not specified") { }
}
