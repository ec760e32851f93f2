"""Takes the steps of ocean-lib 3.1.2 against a running box: one JSON line for each step on stdout.

Runs on Python 3.10 in an environment of its own: the library is unmodified, only what it sends is noted.
"""

import json
import logging
import os
import sys
import time
import traceback
from pathlib import Path

import requests
from eth_account import Account
from ocean_lib.agreements.consumable import AssetNotConsumable
from ocean_lib.data_provider.data_encryptor import DataEncryptor
from ocean_lib.data_provider.data_service_provider import DataServiceProvider
from ocean_lib.example_config import get_config_dict
from ocean_lib.exceptions import DataProviderException
from ocean_lib.models.compute_input import ComputeInput
from ocean_lib.models.dispenser import DispenserArguments
from ocean_lib.models.fixed_rate_exchange import ExchangeArguments
from ocean_lib.ocean.ocean import Ocean
from ocean_lib.ocean.ocean_assets import AssetArguments
from ocean_lib.ocean.util import to_wei
from ocean_lib.structures.algorithm_metadata import AlgorithmMetadata
from ocean_lib.structures.file_objects import UrlFile
from ocean_lib.web3_internal.constants import ZERO_ADDRESS

PLACES = {"provider": "PROVIDER_URL", "cache": "AQUARIUS_URL", "chain": "NODE_URI"}
CONTAINER = {"image": "c2d.local/algo-python", "tag": "latest", "checksum": "sha256:" + "ab" * 32}
CODE = "print('a program of more than ten characters')"


class Recorder:
    """Every answer that comes back over HTTP, until ``take`` is called: ``provider GET /path 200``."""

    def __init__(self):
        self._seen = []
        original = requests.Session.send

        def send(session, request, **options):
            answer = original(session, request, **options)
            places = (name for name, key in PLACES.items() if request.url.startswith(os.environ[key]))
            path = "/" + request.url.split("/", 3)[-1].split("?")[0] if request.url.count("/") > 2 else "/"
            self._seen.append(f"{next(places, 'elsewhere')} {request.method} {path} {answer.status_code}")
            return answer

        requests.Session.send = send

    def take(self):
        seen, self._seen = self._seen, []
        return seen


class Session:
    """Two accounts, the library, and what was published so far."""

    def __init__(self):
        Account.enable_unaudited_hdwallet_features()
        self.publisher, self.consumer = (
            Account.from_mnemonic(os.environ["MNEMONIC"], account_path=f"m/44'/60'/0'/0/{index}")
            for index in (3, 7)
        )
        config = get_config_dict(os.environ["NODE_URI"])
        config["PROVIDER_URL"], config["METADATA_CACHE_URI"] = (
            os.environ["PROVIDER_URL"],
            os.environ["AQUARIUS_URL"],
        )
        self.ocean = Ocean(config)
        self.config, self.provider = config, DataServiceProvider
        self.files, self.folder = os.environ["FILES_URL"], Path(os.environ["HOME"])
        self.by_publisher, self.by_consumer = {"from": self.publisher}, {"from": self.consumer}
        self.jobs = {}

    def inputs(self):
        return (
            ComputeInput(self.dataset, self.dataset.services[1]),
            ComputeInput(self.algorithm, self.algorithm.services[0]),
        )

    def environment(self):
        return self.ocean.compute.get_free_c2d_environment(self.config["PROVIDER_URL"], 8996)

    def paid(self, dataset, algorithm, seconds=3600):
        environment = self.environment()
        return self.ocean.assets.pay_for_compute_service(
            [dataset],
            algorithm,
            environment["id"],
            int(time.time()) + seconds,
            ZERO_ADDRESS,
            self.by_consumer,
            environment["consumerAddress"],
        )

    def started(self, dataset, **what):
        return self.ocean.compute.start(self.consumer, dataset, self.environment()["id"], **what)

    def finish(self, job):
        print(json.dumps({"finish": job}), flush=True)
        service = self.dataset.services[1]
        for _ in range(200):
            if self.ocean.compute.status(self.dataset, service, job, self.consumer)["status"] > 60:
                return
            time.sleep(0.05)
        raise AssertionError("the job does not end")


def refusal(doing, kind=DataProviderException):
    try:
        doing()
    except kind as error:
        return str(error)
    raise AssertionError("was not refused")


def publish_a_dataset(s):
    _, s.datatoken, s.dataset = s.ocean.assets.create_url_asset(
        "A dataset", f"{s.files}/data.csv", s.by_publisher, with_compute=True
    )
    assert [service.type for service in s.dataset.services] == ["access", "compute"]


def publish_an_algorithm(s):
    _, s.algorithm_token, s.algorithm = s.ocean.assets.create_algo_asset(
        "An algorithm", f"{s.files}/algo.py", s.by_publisher, **CONTAINER
    )
    assert s.algorithm.metadata["type"] == "algorithm"


def mint(s):
    for token in (s.datatoken, s.algorithm_token):
        token.mint(s.consumer.address, to_wei(20), s.by_publisher)


def publish_free(s):
    _, _, s.free = s.ocean.assets.create_url_asset(
        "A free one",
        f"{s.files}/data.csv",
        s.by_publisher,
        AssetArguments(pricing_schema_args=DispenserArguments(to_wei(1), to_wei(1))),
    )


def publish_at_a_fixed_price(s):
    _, _, s.priced = s.ocean.assets.create_url_asset(
        "A priced one",
        f"{s.files}/data.csv",
        s.by_publisher,
        AssetArguments(
            pricing_schema_args=ExchangeArguments(to_wei(1), s.ocean.OCEAN_address, dt_decimals=18)
        ),
    )


def publish_plainly(s):
    """Neither encrypted nor compressed, and each of the two alone."""
    for encrypt, compress in ((False, False), (False, True), (True, False)):
        made = s.ocean.assets.create_url_asset("One of three", f"{s.files}/data.csv", s.by_publisher)
        again = s.ocean.assets.update(made[2], s.by_publisher, encrypt_flag=encrypt, compress_flag=compress)
        assert again.did == made[2].did


def find(s):
    assert s.ocean.assets.resolve(s.dataset.did).did == s.dataset.did
    assert s.dataset.did in [found.did for found in s.ocean.assets.search(s.dataset.did)]
    assert s.ocean.assets._aquarius.get_ddo_metadata(s.dataset.did)["name"] == "A dataset"
    assert not s.ocean.assets._aquarius.ddo_exists("did:op:" + "0" * 64)


def look_at_files(s):
    plain = UrlFile(f"{s.files}/data.csv").to_dict()
    assert s.provider.check_single_file_info(plain, s.config["PROVIDER_URL"])
    assert s.provider.check_asset_file_info(s.dataset.did, "0", s.config["PROVIDER_URL"])


def encrypt(s):
    answer = DataEncryptor.encrypt({"a": 1}, s.config["PROVIDER_URL"], 8996)
    assert answer.status_code == 201 and answer.headers["Content-type"] == "text/plain"


def nothing_is_permitted_by_default(s):
    assert "not_trusted_algo" in refusal(lambda: s.paid(*s.inputs()))


def permit(s):
    s.dataset.services[1].add_publisher_trusted_algorithm(s.algorithm)
    s.dataset = s.ocean.assets.update(s.dataset, s.by_publisher)
    assert len(s.dataset.services[1].get_trusted_algorithms()) == 1


def pay_and_start(s):
    datasets, algorithm = s.paid(*s.inputs())
    s.orders = datasets[0], algorithm
    s.jobs["first"] = s.started(datasets[0], algorithm=algorithm)


def status(s):
    found = s.ocean.compute.status(s.dataset, s.dataset.services[1], s.jobs["first"], s.consumer)
    assert found["ok"] and found["jobId"] == s.jobs["first"], found


def stop(s):
    found = s.ocean.compute.stop(s.dataset, s.dataset.services[1], s.jobs["first"], s.consumer)
    assert found["ok"], found


def results(s):
    service = s.dataset.services[1]
    s.finish(s.jobs["first"])
    assert s.ocean.compute.result(s.dataset, service, s.jobs["first"], 0, s.consumer)
    assert s.ocean.compute.compute_job_result_logs(s.dataset, service, s.jobs["first"], s.consumer, "output")


def delete(s):
    assert s.provider.delete_compute_job(s.dataset.did, "0" * 32, s.dataset.services[1], s.consumer) != []


def the_same_orders_again(s):
    """Nothing is due for a time that is paid for: the orders stay what they were."""
    dataset, algorithm = s.orders
    before = dataset.transfer_tx_id, algorithm.transfer_tx_id
    datasets, algorithm = s.paid(dataset, algorithm, 600)
    assert (datasets[0].transfer_tx_id, algorithm.transfer_tx_id) == before
    s.finish(s.started(datasets[0], algorithm=algorithm))


def reuse_for_longer(s):
    dataset, algorithm = s.orders
    before = dataset.transfer_tx_id
    datasets, algorithm = s.paid(dataset, algorithm, 7200)
    assert datasets[0].transfer_tx_id != before
    s.finish(s.started(datasets[0], algorithm=algorithm))


def one_job_at_a_time(s):
    """The original lets one order start any number of jobs at once."""
    dataset, algorithm = s.paid(*s.inputs())
    job = s.started(dataset[0], algorithm=algorithm)
    assert "already in use" in refusal(lambda: s.started(dataset[0], algorithm=algorithm))
    s.finish(job)


def raw_algorithm(s):
    program = AlgorithmMetadata(
        {
            "rawcode": CODE,
            "language": "python",
            "version": "1",
            "container": {"entrypoint": "python $ALGO", **CONTAINER},
        }
    )
    dataset = s.inputs()[0]
    assert "no_raw_algo_allowed" in refusal(lambda: s.paid(dataset, program))
    s.dataset.services[1].compute_values["allowRawAlgorithm"] = True
    s.dataset = s.ocean.assets.update(s.dataset, s.by_publisher)
    datasets, _ = s.paid(s.inputs()[0], program)
    s.finish(s.started(datasets[0], algorithm_meta=program))


def trusted_publisher(s):
    service = s.dataset.services[1]
    service.remove_publisher_trusted_algorithm(s.algorithm.did)
    service.add_publisher_trusted_algorithm_publisher(s.consumer.address)
    s.dataset = s.ocean.assets.update(s.dataset, s.by_publisher)
    assert "not_trusted_algo_publisher" in refusal(lambda: s.paid(*s.inputs()))
    s.dataset.services[1].add_publisher_trusted_algorithm_publisher(s.publisher.address)
    s.dataset = s.ocean.assets.update(s.dataset, s.by_publisher)
    datasets, algorithm = s.paid(*s.inputs())
    s.finish(s.started(datasets[0], algorithm=algorithm))


def download(s, asset):
    order = s.ocean.assets.pay_for_access_service(asset, s.by_consumer)
    order = order if isinstance(order, (str, bytes)) else order.transactionHash
    order = order.hex() if isinstance(order, bytes) else order
    path = s.ocean.assets.download_asset(asset, s.consumer, str(s.folder), order)
    found = [file.read_bytes() for file in Path(path).iterdir()]
    assert found == [b"a,b\n1,2\n"], found


def download_free(s):
    download(s, s.free)


def download_at_a_fixed_price(s):
    exchange = s.ocean.get_datatoken(s.priced.services[0].datatoken).get_exchanges()[0]
    s.ocean.OCEAN_token.approve(exchange.address, to_wei(10), s.by_consumer)
    s.ocean.OCEAN_token.approve(s.priced.services[0].datatoken, to_wei(10), s.by_consumer)
    download(s, s.priced)


def deny_a_consumer(s):
    s.free.add_address_to_deny_list(s.consumer.address)
    s.free = s.ocean.assets.update(s.free, s.by_publisher)
    refusal(lambda: s.ocean.assets.pay_for_access_service(s.free, s.by_consumer), AssetNotConsumable)
    text = refusal(lambda: s.provider.initialize(s.free.did, s.free.services[0], s.consumer.address))
    assert "CREDENTIAL_IN_DENY_LIST" in text


def main(chapter):
    logging.disable(logging.CRITICAL)
    recorder, session = Recorder(), Session()
    for name in json.loads(Path(__file__).with_name("steps.json").read_text())[chapter]:
        line, began = {"step": name}, time.monotonic()
        try:
            globals()[name.replace(" ", "_")](session)
            line["outcome"] = "passed"
        except Exception:
            line |= {"outcome": "failed", "text": traceback.format_exc()[-2000:]}
        line |= {"milliseconds": round((time.monotonic() - began) * 1000), "calls": recorder.take()}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
