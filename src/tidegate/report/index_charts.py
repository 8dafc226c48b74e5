"""What the charts of the index share: what stands beside every number of it."""

from tidegate.index.regional import Index


def subtitle_of(index: Index, more: str) -> list[str]:
    """What a number of the index must not stand without: release, reading, map, absence."""
    spec = index.spec
    gone = ", ".join(f"{index.framework.group(group).name} {weight:.0%}" for group, weight in index.absent.items())
    said = f"{index.framework.name}, release {index.release.release_id[:12]}; China by {spec.china}; {spec.region_map}"
    return [f"{said}; absent: {gone} of the weight", more]
