namespace FFMpegCore;

public class FFMpegArgumentOptions : FFMpegArgumentsBase
{
    internal FFMpegArgumentOptions() { }

    public FFMpegArgumentOptions WithVideoCodec(string videoCodec) => WithCustomArgument($"-c:v {videoCodec}");

    public FFMpegArgumentOptions WithConstantRateFactor(int crf)
    {
        if (crf is < 0 or > 63) throw new ArgumentException("Argument is outside range (0 - 63)", nameof(crf));
        return WithCustomArgument($"-crf {crf}");
    }

    public FFMpegArgumentOptions ForcePixelFormat(string pixelFormat) => WithCustomArgument($"-pix_fmt {pixelFormat}");

    public FFMpegArgumentOptions ForceFormat(string format) => WithCustomArgument($"-f {format}");

    public FFMpegArgumentOptions WithFastStart() => WithCustomArgument("-movflags faststart");

    public FFMpegArgumentOptions WithFrameOutputCount(int frames) => WithCustomArgument($"-vframes {frames}");

    public FFMpegArgumentOptions WithStartNumber(int startNumber) => WithCustomArgument($"-start_number {startNumber}");

    public FFMpegArgumentOptions Seek(TimeSpan? seekTo) => WithCustomArgument(seekTo is { } to
        ? $"-ss {(int)to.TotalHours:00}:{to.Minutes:00}:{to.Seconds:00}.{to.Milliseconds:000}"
        : string.Empty);

    public FFMpegArgumentOptions WithCustomArgument(string argument)
    {
        Arguments.Add(new CustomArgument(argument));
        return this;
    }
}
