"""A bar chart as SVG, readable on light and dark pages."""
from xml.sax.saxutils import escape


def chart(title, rows, unit):
    """`rows` are (name, value); shorter bars are better."""
    width, left, bar, gap, top = 720, 220, 26, 14, 52
    height = top + len(rows) * (bar + gap) + 10
    longest = max(value for _, value in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">',
        "<style>text{font:15px system-ui,sans-serif;fill:#333}.title{font-weight:600}.bar{fill:#9aa5b1}.ours{fill:#1f8a4c}"
        "@media(prefers-color-scheme:dark){text{fill:#ddd}.bar{fill:#66717d}.ours{fill:#3fb872}}</style>",
        f'<text class="title" x="10" y="26">{escape(title)}</text>',
    ]
    for index, (name, value) in enumerate(rows):
        y = top + index * (bar + gap)
        length = max(2, (width - left - 110) * value / longest)
        kind = "ours" if name == "ws-emit" else "bar"
        parts += [
            f'<text x="{left - 12}" y="{y + 18}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{left}" y="{y}" width="{length:.1f}" height="{bar}" rx="3"/>',
            f'<text x="{left + length + 8:.1f}" y="{y + 18}">{value:.3g} {escape(unit)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
