"""The table of commands, by sections of the help.

It carries each command's one-line help, so that ``--help`` imports none of the command modules.
"""

from __future__ import annotations

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "The box": {
        "up": ("lifecycle:up", "Boot the box, or resume it."),
        "down": ("lifecycle:down", "Stop everything, keep the state."),
        "status": ("status:status", "What runs where, and how healthy it is."),
        "reset": ("lifecycle:reset", "Stop and forget everything, after saying what."),
        "config": ("config:config", "The box file: show, set, edit, check."),
        "tui": ("tui:tui", "The terminal UI; also c2d-box without a command."),
        "serve": ("tui:serve", "The terminal UI in a browser on this machine."),
        "doctor": ("selftest:doctor", "Check this machine; each finding with its fix."),
        "env": ("status:env", "Shell exports for ocean.js, ocean.py and curl."),
        "logs": ("logs:logs", "Logs of a component or service."),
        "pods": ("looking:pods", "What Kubernetes runs for the box; --workflows, --job ID."),
        "chain": ("looking:chain", "Blocks, transactions and their decoded events."),
        "cid": ("looking:cid", "Read content from the box's IPFS node by its CID."),
        "kubectl": ("looking:kubectl", "kubectl, talking to the box's cluster."),
        "seed": ("seeding:seed", "Apply a list of accounts, assets and permissions."),
        "bundle": ("bundle:bundle", "Build, list and verify what a box is made of."),
        "images": ("images:images", "List algorithm images, import your own."),
        "selftest": (
            "selftest:selftest",
            "Attack this box with hostile algorithms, and say what came of it.",
        ),
        "completion": ("completion:completion", "Complete commands, ids and names in your shell."),
        "demo": ("demo:demo", "A whole Compute-to-Data job on real data, explained."),
    },
    "Data and algorithms": {
        "accounts": ("accounts:accounts", "Accounts, roles and balances."),
        "publish": ("assets:publish", "Publish a dataset or an algorithm."),
        "assets": ("assets:assets", "Published assets."),
        "permit": ("assets:permit", "Let an algorithm compute on a dataset."),
        "revoke": ("assets:revoke", "Take that permission back."),
        "trust": ("rules:trust", "Trust publishers, markets, everybody, raw code."),
        "simulate": ("rules:simulate", "What a consumer would meet; pays nothing."),
        "edit": ("rules:edit", "Change an asset's name or description."),
        "end": ("rules:end", "Declare an asset's end of life."),
        "faucet": ("accounts:faucet", "Test money for an account."),
        "download": ("assets:download", "Order and download an access asset."),
    },
    "Jobs": {
        "run": ("loop:run", "A script on data in one command; after an edit again."),
        "new": ("loop:new", "A new algorithm from a template."),
        "quote": ("jobs:quote", "What a job or download costs now, or why it is refused."),
        "start": ("jobs:start", "Order and start a compute job."),
        "jobs": ("jobs:jobs", "Your jobs."),
        "job": ("jobs:job", "One job in detail (job ID), or its logs (job logs ID)."),
        "results": ("jobs:results", "List or fetch the results of a job."),
        "decrypt": ("jobs:decrypt", "Open a result that was encrypted for you."),
        "stop": ("jobs:stop", "Stop a running job."),
        "explain": ("evidence:explain", "How a job ended, and what to do about it."),
        "verify": ("evidence:verify", "Check a job's evidence against its sources."),
    },
}

COMMANDS = {name: target for section in SECTIONS.values() for name, (target, _) in section.items()}
# Texts that name such a command get no ``--name`` or ``--home`` (:func:`sandbox.cli.opening.for_this_box`).
BOXLESS = frozenset({"bundle", "completion"})
"""Commands that are about no box."""
