"""Anchoring in the blocks of a real node."""

from __future__ import annotations

from pathlib import Path

from ops.services import HeaderSource
from tests.ops.jobs.anchoring.anchorages import HOUR, anchorage
from tests.ops.timestamps.chains import Litecoin


def test_a_checkpoint_is_anchored_in_a_real_chain_whose_headers_come_from_the_node(tmp_path: Path) -> None:
    with (
        Litecoin() as node,
        anchorage(tmp_path, chain=node, headers=(HeaderSource("node", node.rpc_url),), depth=3) as found,
    ):
        found.policy(bitcoin=[{"network": "litecoin-regtest", "minimum_work_bits": 0, "checkpoints": {}}])
        found.run("anchor")
        found.calendars[0].anchor()
        found.pass_time(HOUR)
        found.run("upgrade")
        (owed,) = found.owing("upgrade")
        assert "1 of 3 deep" in owed.waiting
        assert "s3cret" not in owed.waiting
        node.grow(2)
        found.pass_time(2 * HOUR)
        found.run("upgrade")
        assert found.counted() == {"pending": 1, "confirmed": 1}
        registry = found.home.store.registry()
        assert registry.anchored_size() == 8
        assert found.anchors("confirmed")[0].event.payload.height == node.tip - 2
        found.check()
