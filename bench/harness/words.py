"""The words of the tables: subjects, columns, and the README's rows in its two languages."""

SUBJECTS = {
    "direct": "no gateway",
    "nginx": "nginx `proxy_pass`",
    "tidegate": "**Tidegate**",
    "rolter": "rolter",
    "ferrogw": "ferrogw",
    "portkey": "Portkey",
    "litellm": "LiteLLM",
}
METRICS = {  # in the order of columns; the first that a claim has is its main one
    "cpu_us": "CPU µs",
    "stream_kb": "kB a stream",
    "added_p50_us": "added p50 µs",
    "added_p99_us": "added p99 µs",
    "per_second": "per second",
    "p50_us": "p50 µs",
    "p99_us": "p99 µs",
    "rss_mb": "memory MB",
    "rss_peak_mb": "peak memory MB",
    "rss_0_mb": "MB at 0",
    "rss_1000_mb": "MB at 1,000",
    "rss_5000_mb": "MB at 5,000",
    "rss_ended_mb": "MB when ended",
}
COMPARED = ("cpu_us", "stream_kb", "rss_mb")  # differences such as the added time have no ratio
UNITS = {"cpu_us": " µs", "rss_mb": " MB", "stream_kb": " kB", "added_p50_us": " µs"}
WORDS = {
    "en": {
        "head": ("what it costs", "target", "measured (range)", ""),
        "met": "met",
        "not met": "not met",
        "not measured": "not measured",
        "call_1k cpu_us": "CPU of a 1 kB call, everything on",
        "call_1k cpu_us nginx": "the same, times nginx `proxy_pass`",
        "call_1k cpu_us rolter": "the same, times rolter (a gateway in Rust)",
        "call_1k_tls cpu_us": "CPU of a 1 kB call, TLS to the provider",
        "call_1k_tls cpu_us nginx": "the same, times nginx with TLS to the provider",
        "call_256k cpu_us nginx": "CPU of a 256 kB call, times nginx",
        "call_256k cpu_us rolter": "the same, times rolter",
        "sse_event cpu_us": "CPU of a relayed SSE event",
        "sse_event cpu_us nginx": "the same, times nginx `proxy_buffering off`",
        "sse_1000 cpu_us": "CPU of a relayed SSE event, 1,000 streams at once",
        "sse_1000 cpu_us nginx": "the same, times nginx `proxy_buffering off`",
        "sse_across cpu_us": "CPU of an SSE event between dialects, 1,000 streams",
        "first_chunk added_p50_us": "time added to the first chunk, p50",
        "streams_memory stream_kb": "memory of an open stream, of 5,000",
        "idle_memory rss_mb": "memory of an idle gateway process",
        "foot": "Median of up to {rounds} rounds on {cpu}, {date}, one core for the gateway; rendered "
        "from [the result](bench/results/{name}.json) of `make bench`. "
        "[All tables, with the peers](docs/reference/bench.md).",
    },
    "zh": {
        "head": ("开销", "目标", "实测（范围）", ""),
        "met": "达到",
        "not met": "未达到",
        "not measured": "未测量",
        "call_1k cpu_us": "一次 1 kB 调用的 CPU 时间，全部功能开启",
        "call_1k cpu_us nginx": "同上，相对 nginx `proxy_pass` 的倍数",
        "call_1k cpu_us rolter": "同上，相对 rolter（Rust 网关）的倍数",
        "call_1k_tls cpu_us": "一次 1 kB 调用的 CPU 时间，以 TLS 连接供应商",
        "call_1k_tls cpu_us nginx": "同上，相对以 TLS 连接供应商的 nginx 的倍数",
        "call_256k cpu_us nginx": "一次 256 kB 调用的 CPU 时间，相对 nginx 的倍数",
        "call_256k cpu_us rolter": "同上，相对 rolter 的倍数",
        "sse_event cpu_us": "转发一个 SSE 事件的 CPU 时间",
        "sse_event cpu_us nginx": "同上，相对 nginx `proxy_buffering off` 的倍数",
        "sse_1000 cpu_us": "转发一个 SSE 事件的 CPU 时间，同时 1,000 个流",
        "sse_1000 cpu_us nginx": "同上，相对 nginx `proxy_buffering off` 的倍数",
        "sse_across cpu_us": "在两种方言之间转换一个 SSE 事件的 CPU 时间，1,000 个流",
        "first_chunk added_p50_us": "首个数据块增加的延迟，p50",
        "streams_memory stream_kb": "每个打开的流占用的内存（共 5,000 个）",
        "idle_memory rss_mb": "空闲网关进程的内存",
        "foot": "最多 {rounds} 轮的中位数，{cpu}，{date}，网关占用一个核；由 `make bench` 的"
        "[结果文件](bench/results/{name}.json)生成。[全部表格与同类软件对比](docs/reference/bench.md)。",
    },
}
