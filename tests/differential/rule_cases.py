"""Rules and requests for `test_rules.py`: the corners of the language rather than its everyday use."""

from __future__ import annotations

from collections.abc import Iterable

# (target, host, method, *header lines)
Seen = tuple[str, str, str, *tuple[tuple[str, str], ...]]


def hosts(*names: str) -> list[Seen]:
    return [("/", name, "GET") for name in names]


def targets(*paths: str) -> list[Seen]:
    return [(path, "h", "GET") for path in paths]


def methods(*names: str) -> list[Seen]:
    return [("/", "h", name) for name in names]


def lines(*requests: Iterable[tuple[str, str]]) -> list[Seen]:
    return [("/", "h", "GET", *pairs) for pairs in requests]


# One pattern after the other, blanks between them.
_REGEXPS = r"""
    ( x (?=x) (?<!x) \C [\C] \Q\C\E (?<n>a) (?P<n>a) (?P<n>a)(?P<n>b) a** a{1001} a{1000} (a{1000}){1000}
    (a{100}){11} (a{100}){10} \pL \p{Greek} \p{Foo} \p{Any} [[:alpha:]] [[:foo:]] \Z \z \h \1 \0 \_ \é a{,5} a{5,2}
    (?x)a (?U)a (?#c)a ) [b-a] []a] [] * a++ a+? ^* (?i)(?-i)a (?P<1>a) (?P<>a) \x{110000} \x{10FFFF} \b{2} \Qa
    [a-\d] [\pL-z] \Qab\E* (|a)* \8 \07 \18 (?i:a \ [a x{2}{3} (?s-i:a) \cA \e \a\f\t\n\r\v \N{x} \R \X \G \K
    \pN{2} \PL \p{^L} [[:^alpha:]] \B (?i)é a|* || a||b {2} a{2 a{2,} [^] [^\n] (?m)^a$ \p{L \pZ+ (?:) ()
""".split()  # noqa: SIM905

ACCEPTANCE: dict[str, list[str]] = {
    "v3": [
        *(f"PathRegexp(`{pattern}`)" for pattern in _REGEXPS),
        *('PathRegexp("\\xff")', "PathRegexp(`\\p{Letter}`)", "PathRegexp(`\\p{ASCII}`)"),
        # names
        *("host(`a`)", "HOST(`a`)", "hOST(`a`)", "Pathprefix(`/a`)", "pathPrefix(`/a`)", "PATHPREFIX(`/a`)"),
        *("Clientip(`1.1.1.1`)", "ClientIp(`1.1.1.1`)", "Foo(`a`)", "HostHeader(`a`)", "Headers(`a`,`b`)"),
        *(
            "HostSNI(`a`)",
            "ALPN(`a`)",
            "\u0397ost(`a`)",
            "x.Host(`a`)",
            "Host.x(`a`)",
            "Host[int](`a`)",
            "(Host)(`a`)",
        ),
        # values
        *('Host("a")', "Host('a')", "Host(a)", "Host(1)", "Host()", "Host(``)", 'Host("")', "Host((`a`))"),
        *(
            "Host(`a`,`b`)",
            "Host(`a`,)",
            "Host(`a`,,)",
            "Host(,)",
            "Host(`a`...)",
            "Host(`a`...,)",
            'Host("a"+"b")',
        ),
        *("Host(`a` `b`)", "Host(Host(`a`))", "Host(`a", 'Host("a', "Host(`a`", "Host`a`"),
        *(
            'Host("\\x61")',
            'Host("\\u0061")',
            'Host("\\U00000061")',
            'Host("\\141")',
            'Host("\\q")',
            'Host("\\\'")',
        ),
        *('Host("\\400")', 'Host("\\14")', 'Host("\\ud800")', 'Host("\\U00110000")', 'Host("\\x6")', 'Host("\\")'),
        *(
            'Path("/\\xff")',
            'Path("/é")',
            "Path(`/é`)",
            "Host(`é`)",
            'Host("\\xff")',
            'Path("/\\"x")',
            'Path("/\\x00")',
        ),
        *('Host("a\nb")', "Host(`a\nb`)", "Host(`a\r\nb`)", "Path(`/\0`)", "Host(`\ufeff`)"),
        # line breaks, blanks and comments
        *("Host(`a`,\n)", "Host(`a`\n)", "Host(\n`a`)", "Host\n(`a`)", "Host (`a`)", "Host( `a` )", "Host(`a`)\n"),
        *("Host(`a`)\n\n", "\n\nHost(`a`)", "Host(`a`);", "Host(`a`)\n;", "Host(`a`) &&\nPath(`/`)"),
        *("Host(`a`)\n&& Path(`/`)", "Host(`a`) // c", "Host(`a`) // c\n", "Host(`a`) /* c */ && Path(`/`)"),
        *("Host(`a`) /* c \n */ && Path(`/`)", "Host(`a`) /* c \n */", "Host(`a`) && // c\n Path(`/`)"),
        *("/* x */ Host(`a`)", "Host(`a`) /*", "Host(/* */`a`/* */)", "Host(`a`/*\n*/)", "Host(`a` // x\n)"),
        *(
            "Host(`a`) /* * / */",
            "Host(`a`) /***/",
            "Host(`a`) /*/",
            "// x\nHost(`a`)",
            "// x",
            "Host(`a`) / Host(`a`)",
        ),
        *(
            "(\nHost(`a`)\n)",
            "(\nHost(`a`))",
            "(Host(`a`) \n)",
            "!\nHost(`a`)",
            "Host(`a`) ||\n\n// x\n!\nHost(`a`)",
        ),
        *(
            "\ufeffHost(`a`)",
            "\ufeff\ufeffHost(`a`)",
            "Host(`a`)\ufeff",
            "Host(`a`)\0",
            "Host(`a`)\v",
            "Host(`a`)\f",
        ),
        *(
            "Host(`a`)\xa0",
            "Host(`a`)\r",
            "Host(`a`)\r\n && Path(`/`)",
            "Host(`a`) &&\r\n Path(`/`)",
            "\tHost(`a`)",
        ),
        # operators
        *("!Host(`a`)", "!!Host(`a`)", "! Host(`a`)", "((Host(`a`)))", "()", "(", ")", "!", "&&", "Host(`a`) &&"),
        *("Host(`a`) & Path(`/`)", "Host(`a`) and Path(`/`)", "Host(`a`) == Path(`/`)", "Host(`a`) Path(`/`)"),
        *(
            "-Host(`a`)",
            "!(Host(`a`) && !Path(`/`))",
            "Host(`a`)&&Path(`/`)||!Path(`/`)",
            "Host(`a`) && && Path(`/`)",
        ),
        *('"a"', "`a`", "1", "Host", "", "   ", "true", "Host(`a`) && true", 'Host(`a`) && "x"', "nil"),
        # arguments of single matchers
        *(
            "Path(`x`)",
            "PathPrefix(`x`)",
            "PathPrefix(`/`)",
            "HostRegexp(`é`)",
            "HostRegexp(`a`,`b`)",
            "HostRegexp(`[`)",
        ),
        *("HeaderRegexp(`a`,`(`)", "HeaderRegexp(`a`)", "Header(`a`)", "Header(`a`,``)", "Header(``,`b`)"),
        *(
            "Header(`a b`,`c`)",
            "Header(`a`,`b`,`c`)",
            "Query(`a`)",
            "Query(`a`,``)",
            "Query(`a`,`b`,`c`)",
            "Query()",
        ),
        *("QueryRegexp(`a`)", "QueryRegexp(`a`,`(`)", "QueryRegexp(`(`)", "Method(`foo bar`)", "Method(`a`,`b`)"),
        *(
            f"ClientIP(`{text}`)"
            for text in (
                *(
                    "10.0.0.1",
                    "10.0.0.1/8",
                    "10.0.0.1/33",
                    "10.0.0.1/08",
                    "10.0.0.1/255.0.0.0",
                    "10.0.0.01",
                    "::1",
                ),
                *(
                    "::1/64",
                    "::1/129",
                    "fe80::1%eth0",
                    "fe80::1%eth0/64",
                    "[::1]",
                    "::ffff:10.0.0.1",
                    "foo",
                    "10.0.0",
                ),
                *("::ffff:10.0.0.0/104", " 10.0.0.1", "10.0.0.1/", "10.0.0.1/+8", "10.0.0.0/-1", "010.0.0.0/8"),
                *(
                    "::ffff:10.0.0.0/95",
                    "10.0.0.0/8/8",
                    "1.1.1.1,2.2.2.2",
                    "::FFFF:1.2.3.4",
                    "1::2::3",
                    "::1.2.3.4",
                ),
                *("::ffff:10.0.0.01", "10.0.0.0/\u0661", "0::0", "00000::1", "::/0", "10.0.0.1/000000000000008"),
            )
        ),
        *(f"Host(`{name}`)" for name in ("*", "*.a", "a.*", "*a", "**", "*.", ".", "*.*.b", "a:80", " a", "a/b")),
        # size
        *("!" * 500 + "Host(`a`)", "(" * 3000 + "Host(`a`)" + ")" * 3000, " && ".join(["Host(`a`)"] * 3000)),
    ],
    "v2": [
        *("Host(`a`,`b`)", "Host(``)", "Host()", "Host(`é`)", "HostHeader(`a`)", "Host(`*.a`)", "Host(`a`...)"),
        *(
            f"HostRegexp(`{template}`)"
            for template in (
                *(
                    "a",
                    "{x:[a-z]+}.b",
                    "{x}",
                    "{x}.{x}",
                    "{x",
                    "x}",
                    "{}",
                    "{:a}",
                    "{x:}",
                    "{x:(}",
                    "é",
                    "{x:a{2}}",
                ),
                *("{x:a)(b}", "{x:(a|b)}", "{x:\\C}", "}{", "{{x}}", "{x:{}}", "{x y}", "a(", "[", "{é}"),
            )
        ),
        *("HostRegexp(``)", "HostRegexp(`a`,`b`)", "HostRegexp(`a`,`{`)"),
        *("Path(`/a`,`/b`)", "Path(`a`)", "Path(``)", "Path(`/{id:[0-9]+}`)", "Path(`{id:/a}`)", "Path(`/{id`)"),
        *(
            "Path(`/{id:(?:a|b)}`)",
            "Path(`/{é}`)",
            "Path(`/{a b}`)",
            "Path(`/{a}{b}`)",
            "Path(`/a?b=c`)",
            "Path(`/(`)",
        ),
        *("PathPrefix(`/a`)", "PathPrefix(`a`)", "PathPrefix(`/{a:b|c}`)", "Method(`get`,`POST`)", "Method(``)"),
        *(
            "Headers(`a`)",
            "Headers(`a`,`b`)",
            "Headers(`a`,``)",
            "Headers(`a`,`b`,`c`,`d`)",
            "Headers(`a`,`b`,`c`)",
        ),
        *("HeadersRegexp(`a`,`(`)", "HeadersRegexp(`a`,`b`)", "HeadersRegexp(`a`,``)", "HeadersRegexp(`a`)"),
        *("HeadersRegexp(`a`,`b`,`c`,`(`)", "HeadersRegexp(`a`,`b`,`c`,`d`)", "Headers(``,`b`)"),
        *(
            "Query(`a`)",
            "Query(`a=b`)",
            "Query(`a=`)",
            "Query(`a=b`,`c=d`)",
            "Query(`a=b=c`)",
            "Query(`a=b=c`,`d`)",
        ),
        *(
            "Query(`=b`)",
            "Query(``)",
            "Query(`a={x:[0-9]+}`)",
            "Query(`{k}=v`)",
            "Query(`a={x`)",
            "Query(`a`,`b`)",
        ),
        *("Query(`=`)", "Query(`a={x:(}`)", "Query(`(=b`)", "Query(`a`,`b`,`c=d`)", "Query(`a`,`b=c`)"),
        *("ClientIP(`1.1.1.1`,`10.0.0.0/8`)", "ClientIP(`x`)", "ClientIP(`1.1.1.1`,`x`)"),
        *("Header(`a`,`b`)", "HeaderRegexp(`a`,`b`)", "PathRegexp(`a`)", "QueryRegexp(`a`,`b`)", "Foo(`a`)"),
        *("host(`a`)", "HEADERS(`a`,`b`)", "Hostheader(`a`)", "Headersregexp(`a`,`b`)", "headersRegexp(`a`,`b`)"),
        *("!Host(`a`,`b`)", "!(Host(`a`) && Path(`/b`))", "Host(`a`)\n&& Path(`/b`)"),
    ],
}

# RE2 lacks the long names of Unicode categories that Go learnt lately.
KNOWN_DIFFERENCES = {"PathRegexp(`\\p{Letter}`)", "PathRegexp(`\\p{ASCII}`)"}

MATCHING: dict[str, list[tuple[str, list[Seen]]]] = {
    "v3": [
        ("Host(`*`)", hosts("a", "a.b", "", "a.:80", "[::1]:80")),
        ("Host(`*.`)", hosts("a", "a.", "a.b.", ".", "")),
        ("Host(`*.A`)", hosts("a", "x.a", "X.a.", "x.y.a", ".a", "x.a:80", "", "x.a..")),
        ("Host(`*.a.`)", hosts("x.a", "x.a.", "x.a..")),
        ("Host(`*.a..`)", hosts("x.a", "x.a.", "x.a..")),
        ("Host(`*..`)", hosts("x", "x.", "x..", "", ".", "..")),
        ("Host(`a.*`)", hosts("a.*", "a.x")),
        ("Host(`**`)", hosts("**", "x")),
        ("Host(`*a`)", hosts("*a", "xa", "a")),
        ("Host(`*.*.b`)", hosts("*.*.b", "x.y.b", "x.*.b")),
        ("Host(`a:80`)", hosts("a:80", "a")),
        ("Host(`A.Com`)", hosts("a.COM.:8080", "a.com..", "a.com", "xa.com")),
        ("Host(`a.`)", hosts("a", "a.", "a..")),
        ("Host(`a..`)", hosts("a", "a.", "a..", "a...")),
        ("Host(`[::1]`)", hosts("[::1]", "[::1]:80")),
        ("Host(`::1`)", hosts("[::1]", "[::1]:80")),
        ("Host(`.`)", hosts(".", "", "..")),
        ("!Host(`a`)", hosts("a", "b", "")),
        ("HostRegexp(`^$`)", hosts("", "a")),
        ("HostRegexp(`^a$`)", hosts("a", "A", "a:80", "a.", "[::1]")),
        ("HostRegexp(`A`)", hosts("a", "A")),
        ("HostRegexp(`:`)", hosts("a:80", "[::1]")),
        ("HostRegexp(`\\.$`)", hosts("a.", "a")),
        ("HostRegexp(`a\\.com`)", hosts("xa.com.evil", "a-com")),
        ("PathRegexp(`^/.$`)", targets("/%FF", "/%C3%A9", "/%C3", "/a", "/%ED%A0%80", "/%E2%82", "/%0A", "/é")),
        ("PathRegexp(`^/...$`)", targets("/%ED%A0%80", "/%E2%82%AC", "/%E2%82a", "/%F4%90%80", "/abc")),
        ("PathRegexp(`\\x{FFFD}`)", targets("/%FF", "/%EF%BF%BD", "/a")),
        ("PathRegexp(`^/[^a]$`)", targets("/%FF", "/a", "/b")),
        ("!PathRegexp(`^/[^a]$`)", targets("/%FF", "/a", "/b")),
        ("PathRegexp(`^/\\w$`)", targets("/%C3%A9", "/a", "/_")),
        ("PathRegexp(`(?i)^/\u212a$`)", targets("/k", "/K", "/%E2%84%AA")),
        ("PathRegexp(`(?i)^/s$`)", targets("/%C5%BF", "/S")),
        ("PathRegexp(`^/a$`)", targets("/a", "/a%0A", "/a?b", "/ab", "/A")),
        ("PathRegexp(`(?m)^/a$`)", targets("/a%0Ab", "/a%0D%0Ab", "/ab")),
        ("PathRegexp(`(?s)^/a.b$`)", targets("/a%0Ab", "/a%2Fb", "/axb")),
        ("PathRegexp(`\\bab\\b`)", targets("/ab", "/%C3%A9ab", "/xab", "/ab%FF")),
        ("PathRegexp(`(?U)^/a+$`)", targets("/a", "/aa", "/b")),
        ("PathRegexp(`^/(?P<n>a)(?P<n>b)$`)", targets("/ab", "/a")),
        ("PathRegexp(`\\Q.+\\E`)", targets("/.+", "/a")),
        ("PathRegexp(`^/\\pL{2}$`)", targets("/aé", "/a1")),
        ("PathRegexp(`%2F`)", targets("/a%2fb", "/a/b")),
        ('Path("/\\xff")', targets("/%FF", "/%ff")),
        ("Path(`/é`)", targets("/%C3%A9", "/é", "/%c3%a9")),
        ("Path(`/a%2Fb`)", targets("/a%2Fb", "/a%2fb", "/a/b")),
        ("Path(`/a%2fb`)", targets("/a%2Fb", "/a%2fb", "/a/b")),
        ("Path(`/a b`)", targets("/a%20b", "/a+b", "/a%2Bb")),
        ("Path(`/a%20b`)", targets("/a%20b", "/a%2520b")),
        ("Path(`/a%2520b`)", targets("/a%2520b")),
        ('Path(`/a"b`)', targets("/a%22b")),
        ("Path(`/x`)", targets("/x", "/x/", "/X", "/%78", "/x;y", "/x%3B", "/x?")),
        ("PathPrefix(`/a`)", targets("/a", "/ab", "/a/b", "/A", "/", "/a?x")),
        ("PathPrefix(`/foo bar`)", targets("/foo%20bar", "/foo%20barbaz", "/foo+bar")),
        ("Method(`get`)", methods("GET", "get", "POST")),
        ("Method(`Foo`)", methods("FOO", "Foo")),
        (
            "Header(`X-K`,`v`)",
            lines(
                [("x-k", "v")], [("X-K", "v, w")], [("X-K", "w"), ("X-K", "v")], [("X-K", " v ")], [("X-K", "V")]
            ),
        ),
        ("Header(`x_k`,`v`)", lines([("X_K", "v")], [("x_k", "v")], [("X-K", "v")])),
        ("Header(`a b`,`c`)", lines([("A-B", "c")])),
        ("Header(`Host`,`h`)", lines([])),
        ("HeaderRegexp(`Host`,`.*`)", lines([])),
        ("!HeaderRegexp(`Host`,`.*`)", lines([])),
        ("HeaderRegexp(`transfer-encoding`,`.*`)", lines([("Transfer-Encoding", "chunked")])),
        ("HeaderRegexp(`x-k`,`^$`)", lines([("X-K", "")], [])),
        ("HeaderRegexp(`x-k`,`^.$`)", lines([("X-K", "é")], [("X-K", "ab")])),
        ("HeaderRegexp(`Content-Length`,`^0$`)", lines([("Content-Length", "0")], [])),
        ("HeaderRegexp(`User-Agent`,`.*`)", lines([])),
        (
            "Query(`a`,`b`)",
            targets(
                "/?a=b", "/?a=c&a=b", "/?A=b", "/?a=b;x", "/?a=%62", "/?%61=b", "/?a=b+", "/?a", "/?a=B", "/?a=b#x"
            ),
        ),
        ("Query(`a`)", targets("/?a", "/?a=", "/?a=1", "/?", "/?b", "/?a=1&a", "/?&a&", "/?a=%", "/?a%=", "/?=a")),
        ("Query(`a`,`x y`)", targets("/?a=x+y", "/?a=x%20y", "/?a=x%2By")),
        ("Query(`a b`,`c`)", targets("/?a+b=c", "/?a%20b=c")),
        ("Query(`a`,`%zz`)", targets("/?a=%zz", "/?a=%25zz")),
        ("Query(`b`,`1`)", targets("/?a=%zz&b=1", "/?b=1&a=%zz", "/?b=%zz&b=1")),
        ("Query(`a`,`b=c`)", targets("/?a=b=c", "/?a=b%3Dc")),
        ("QueryRegexp(`k`,`^1`)", targets("/?k=0&k=12", "/?k=2", "/?k=")),
        ("QueryRegexp(`k`)", targets("/?k", "/?k=1", "/?k=")),
        ("QueryRegexp(`(`)", targets("/?(", "/?%28=", "/?(=1")),
        ("QueryRegexp(`k`,`^.$`)", targets("/?k=%FF", "/?k=%C3%A9", "/?k=ab")),
        ("!QueryRegexp(`foo`,`.*`)", targets("/?foo=;", "/", "/?foo")),
        ("ClientIP(`127.0.0.1`)", targets("/")),
        ("ClientIP(`::ffff:127.0.0.1`)", targets("/")),
        ("ClientIP(`::ffff:127.0.0.0/104`)", targets("/")),
        ("ClientIP(`::/0`)", targets("/")),
        ("ClientIP(`0.0.0.0/0`)", targets("/")),
        ("ClientIP(`127.9.9.9/08`)", targets("/")),
        ("ClientIP(`10.0.0.0/8`)", lines([("X-Forwarded-For", "10.1.1.1")])),
        ("Host(`a`) || Host(`b`) && Path(`/x`)", [("/y", "a", "GET"), ("/y", "b", "GET"), ("/x", "b", "GET")]),
        ("!(Host(`a`) || Path(`/x`))", [("/y", "b", "GET"), ("/y", "a", "GET"), ("/x", "b", "GET")]),
        ("!(Host(`a`) && !Path(`/x`))", [("/y", "b", "GET"), ("/y", "a", "GET"), ("/x", "a", "GET")]),
        ("!!(Host(`a`) && Path(`/x`))", [("/y", "a", "GET"), ("/x", "a", "GET")]),
        ("Host(`a\r`)", hosts("a")),
        ('Host("\\x61\\u0062\\143")', hosts("abc", "a")),
        ("Path(`/a`...)", targets("/a")),
    ],
    "v2": [
        ("Host(`a`,`B`)", hosts("a", "b", "c", "A:80", "b.", "a..")),
        ("Host(`a.`)", hosts("a", "a.", "a..")),
        ("Host(`*.a`)", hosts("x.a", "*.a")),
        ("Host(`*`)", hosts("x", "*", "")),
        ("HostHeader(`a`)", hosts("a", "A:80", "a.")),
        ("!Host(`a`,`b`)", hosts("a", "b", "c")),
        ("HostRegexp(`A`)", hosts("a", "A", "a:80", "a.", "xa", "")),
        ("HostRegexp(`a.`)", hosts("a", "a.")),
        ("HostRegexp(`{x}.b`)", hosts("a.b", "a.a.b", ".b", "a.b:80", "a.b.", "a-b")),
        ("HostRegexp(`{x:[A-Z]+}.b`)", hosts("a.b", "A.b")),
        ("HostRegexp(`{x:.*}`)", hosts("a.b:80", "", "[::1]:80")),
        ("HostRegexp(`::1`)", hosts("[::1]:80", "[::1]")),
        ("HostRegexp(`[::1]`)", hosts("[::1]:80", "[::1]")),
        ("HostRegexp(`{x:[a-z]{2}}`)", hosts("ab", "abc")),
        ("HostRegexp(`a:80`)", hosts("a:80", "a")),
        ("HostRegexp(`{x:a|b}c`)", hosts("ac", "bc", "a")),
        ("HostRegexp(`{x:(?-i)A}`)", hosts("a", "A")),
        ("HostRegexp(`a`,`b`)", hosts("a", "b", "c")),
        ("Path(`/u/{id:[0-9]+}`)", targets("/u/7", "/u/7/x", "/u/a", "/u/7?x")),
        ("Path(`/u/{id}`)", targets("/u/7", "/u/", "/u/a/b", "/u/a%2Fb", "/u/%C3%A9", "/u/%FF", "/u/a%0Ab")),
        ("Path(`/a`)", targets("/a", "/a/", "/A")),
        ("Path(`/a/`)", targets("/a", "/a/")),
        ("Path(`/a%2Fb`)", targets("/a%2Fb", "/a/b")),
        ("Path(`/a b`)", targets("/a%20b")),
        ("Path(`/a.b`)", targets("/axb", "/a.b")),
        ("Path(`/a{x}`)", targets("/ab", "/a", "/a/b")),
        ("Path(`/é{x}`)", targets("/éb", "/é")),
        ("Path(`/{x:a$}`)", targets("/a", "/ab")),
        ("Path(`/{x:.*}`)", targets("/", "/a/b", "/a%0Ab")),
        ("Path(`/{x:(a|b)}`)", targets("/a", "/c")),
        ("Path(`/{x:(?i)a}b`)", targets("/ab", "/Ab", "/AB")),
        ("Path(`/a`,`/b`)", targets("/a", "/b", "/c")),
        ("PathPrefix(`/a`)", targets("/a", "/ab", "/a/b", "/")),
        ("PathPrefix(`/a/`)", targets("/a", "/a/")),
        ("PathPrefix(`/{x:a|b}/c`)", targets("/a/c", "/b/cd", "/ac")),
        ("PathPrefix(`/{x}`)", targets("/", "/a", "/a/b")),
        ("Method(`get`,`POST`)", methods("GET", "get", "POST", "PUT")),
        ("Headers(`X-K`,`v`)", lines([("x-k", "v")], [("X-K", "v, w")], [("X-K", "w"), ("X-K", "v")])),
        ("Headers(`x-k`,`v`,`X-L`,`w`)", lines([("x-k", "v")], [("X-K", "v"), ("x-l", "w")])),
        ("Headers(`Host`,`h`)", lines([])),
        ("Headers(`X-K`,`v`,`x-k`,`w`)", lines([("x-k", "v")], [("X-K", "v"), ("x-k", "w")], [("X-K", "w")])),
        ("HeadersRegexp(`X-K`,`^v`)", lines([("x-k", "vv")], [("X-K", "w")], [("X-K", "w"), ("X-K", "v")], [])),
        ("HeadersRegexp(`X-K`,`^v`,`X-L`,`w`)", lines([("x-k", "vv")], [("X-K", "v"), ("X-L", "w")])),
        ("HeadersRegexp(`X-K`,`^v`,`x-k`,`w`)", lines([("x-k", "v")], [("x-k", "w")])),
        (
            "Query(`a=b`)",
            targets(
                "/?a=b", "/?a=c&a=b", "/?a=bc", "/?a=%62", "/?a=b;x=1", "/?A=b", "/?xa=b", "/?a=b&a=c", "/?%61=b"
            ),
        ),
        ("Query(`a=`)", targets("/?a=b", "/?a", "/?a=", "/?b", "/?a=b&a=c", "/?a=%0A", "/?a=b%0Ac")),
        ("Query(`a=b`,`c=d`)", targets("/?a=b", "/?a=b&c=d", "/?c=d&a=b")),
        ("Query(`a={x:[0-9]+}`)", targets("/?a=12", "/?a=x", "/?a=1x", "/?a=1&a=x", "/?a=x&a=1")),
        ("Query(`a={x}`)", targets("/?a=12", "/?a=", "/?a=%2F", "/?a")),
        ("Query(`{k}=v`)", targets("/?foo=v", "/?k=v", "/?{k}=v", "/?%7Bk%7D=v")),
        ("Query(`=b`)", targets("/?=b", "/?b", "/?a=b")),
        ("Query(`=`)", targets("/?=b", "/?b", "/?=")),
        ("Query(`a=b=c`)", targets("/?a=b=c", "/?a=b", "/?a=b%3Dc")),
        ("Query(`a`,`b`)", targets("/?a=b", "/?a")),
        ("Query(`a`,`b`,`c=d`)", targets("/?a=b&c=d", "/?a=b")),
        ("Query(`a=x y`)", targets("/?a=x+y", "/?a=x%20y")),
        ("Query(`a b=c`)", targets("/?a+b=c", "/?a%20b=c")),
        ("Query(`a=b.c`)", targets("/?a=b.c", "/?a=bxc")),
        ("ClientIP(`1.1.1.1`,`127.0.0.0/8`)", targets("/")),
        (
            "Host(`a`,`b`) && Path(`/u/{id:[0-9]+}`)",
            [("/u/7", "b", "GET"), ("/u/7/x", "b", "GET"), ("/u/7", "c", "GET")],
        ),
    ],
}

# No two rules of the same priority can match one request: there Traefik's choice is random.
RANKED: list[tuple[str, str, int]] = [
    ("Host(`a.com`)", "v3", 0),
    ("Host(`a.com`) && PathPrefix(`/a`)", "v3", 0),
    ("Host(`a.com`)  &&  PathPrefix(`/a/b`)", "v3", 0),
    ("Host(`a.com`) && Path(`/a/b/c`) && Method(`GET`)", "v3", 0),
    ("Host(`*.a.com`)", "v3", 0),
    ("Host(`b.a.com`) && PathPrefix(`/b`)", "v3", 1),
    ("HostRegexp(`^.+\\.b\\.a\\.com$`)", "v3", 0),
    ("PathPrefix(`/`)", "v3", -7),
    ("Path(`/x y`)", "v3", 1000),
    ("Path(`/é`)", "v3", 0),
    ("Query(`q`,`1`)", "v3", 40),
    ("Method(`POST`)", "v3", 9223372036854774807),
    ("Method(`GET`)", "v3", 9223372036854774808),
    ("Host(`z`,`y`)", "v2", 0),
    ("Host(`z`,`y`)", "v3", 0),
    ("PathPrefix(`/{x:a}/b`)", "v2", 0),
    ("Host('a')", "v3", 0),
    ("Host(`b.a.com`) && Path(`/a/b/c`)\n", "v3", 0),
]
