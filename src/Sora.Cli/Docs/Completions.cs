using System.CommandLine;
using System.Text;

namespace Sora.Cli.Docs;

/// <summary>Shell completions from the declarations: bash, zsh and fish.</summary>
internal static class Completions
{
    private const string Models = "$(sora completions models 2>/dev/null)";

    /// <summary>What may follow an option.</summary>
    private enum Value
    {
        Nothing,
        Words,
        Model,
        File,
        Free,
    }

    public static string Bash(IReadOnlyList<Verb> verbs)
    {
        var text = new StringBuilder();
        foreach (var verb in verbs)
        {
            foreach (var option in Declared.Options(verb).Where(option => !Declared.IsFlag(option)))
            {
                var names = string.Join('|', Declared.Names(option).Select(name => $"{verb.Name}:{name}"));
                text.Append($"        {names}) {BashValue(option)}; return ;;\n");
            }
        }
        var values = text.ToString();
        text.Clear();
        foreach (var verb in verbs)
            text.Append($"        {verb.Name}) options=\"{string.Join(' ', Declared.Options(verb).SelectMany(Declared.Names))}\" ;;\n");
        return $$"""
            # bash completion for sora, written by `sora completions bash`
            _sora() {
                local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb="" options="" word
                COMPREPLY=()
                for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
                    if [[ $word != -* ]]; then verb=$word; break; fi
                done
                case $verb:$prev in
            {{values.TrimEnd('\n')}}
                esac
                case $verb in
                    "") _sora_words "{{string.Join(' ', verbs.Select(verb => verb.Name))}} --help --version"; return ;;
            {{text.ToString().TrimEnd('\n')}}
                esac
                if [[ $cur == -* ]]; then _sora_words "$options"; else _sora_files; fi
            }
            _sora_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
            _sora_files() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); }
            complete -F _sora sora

            """;
    }

    public static string Zsh(IReadOnlyList<Verb> verbs)
    {
        var text = new StringBuilder();
        foreach (var verb in verbs)
        {
            text.Append($"        {verb.Name})\n            _arguments -s \\\n");
            foreach (var option in Declared.Options(verb))
                text.Append($"                {ZshOption(option)} \\\n");
            text.Append("                '*:file:_files'\n            ;;\n");
        }
        return $$"""
            #compdef sora
            # zsh completion for sora, written by `sora completions zsh`
            _sora() {
                local -a verbs
                verbs=(
            {{string.Join('\n', verbs.Select(verb => $"        {Single($"{verb.Name}:{verb.Description}")}"))}}
                )
                if (( CURRENT == 2 )); then
                    _describe verb verbs
                    return
                fi
                shift words
                (( CURRENT-- ))
                case $words[1] in
            {{text.ToString().TrimEnd('\n')}}
                esac
            }
            _sora "$@"

            """;
    }

    public static string Fish(IReadOnlyList<Verb> verbs)
    {
        var text = new StringBuilder("# fish completion for sora, written by `sora completions fish`\n");
        foreach (var verb in verbs)
        {
            text.Append($"complete -c sora -f -n __fish_use_subcommand -a {verb.Name} -d {Single(verb.Description!)}\n");
            foreach (var option in Declared.Options(verb))
            {
                text.Append($"complete -c sora -n '__fish_seen_subcommand_from {verb.Name}'");
                foreach (var name in Declared.Names(option))
                    text.Append(name.StartsWith("--", StringComparison.Ordinal) ? $" -l {name[2..]}" : $" -s {name[1..]}");
                text.Append($"{FishValue(option)} -d {Single(option.Description!)}\n");
            }
        }
        return text.ToString();
    }

    private static Value ValueOf(Option option) =>
        Declared.ValueName(option) switch
        {
            _ when Declared.IsFlag(option) => Value.Nothing,
            _ when Declared.Words(option).Length > 0 => Value.Words,
            "MODEL" => Value.Model,
            var name
                when new[] { "FILE", "FOLDER", "DIR", "CLIP", "IMAGE", "VIDEO", "MEDIA" }.Any(kind =>
                    name.EndsWith(kind, StringComparison.Ordinal)
                ) => Value.File,
            _ => Value.Free,
        };

    private static string BashValue(Option option) =>
        ValueOf(option) switch
        {
            Value.Words => $"_sora_words \"{string.Join(' ', Declared.Words(option))}\"",
            Value.Model => $"_sora_words \"{Models}\"",
            Value.File => "_sora_files",
            _ => ":",
        };

    private static string ZshOption(Option option)
    {
        var value = ValueOf(option) switch
        {
            Value.Nothing => "",
            Value.Words => $":{Declared.ValueName(option)}:({string.Join(' ', Declared.Words(option))})",
            Value.Model => $":MODEL:({Models})",
            Value.File => $":{Declared.ValueName(option)}:_files",
            _ => $":{Declared.ValueName(option)}: ",
        };
        var help = option.Description!.Replace("[", "\\[").Replace("]", "\\]").Replace(":", "\\:");
        // The list of models must be made on demand: double quotes let zsh expand it.
        string Quoted(string text) => ValueOf(option) == Value.Model ? $"\"{text.Replace("$SORA", "\\$SORA")}\"" : Single(text);
        return string.Join(' ', Declared.Names(option).Select(name => Quoted($"*{name}[{help}]{value}")));
    }

    private static string FishValue(Option option) =>
        ValueOf(option) switch
        {
            Value.Nothing => "",
            Value.Words => $" -x -a {Single(string.Join(' ', Declared.Words(option)))}",
            Value.Model => " -x -a '(sora completions models 2>/dev/null)'",
            Value.File => " -r -F",
            _ => " -x",
        };

    private static string Single(string text) => $"'{text.Replace("'", "'\\''")}'";
}
