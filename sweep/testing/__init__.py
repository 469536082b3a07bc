"""What plug-ins of each kind promise, as tests for those who write them.

No test library is imported. A stranger subclasses, and pytest collects the methods:

    class TestMine(SearcherContract):
        make = MySearcher
"""

from sweep.testing.data_source_contract import DataSourceContract as DataSourceContract
from sweep.testing.loss_term_contract import LossTermContract as LossTermContract
from sweep.testing.metric_contract import MetricContract as MetricContract
from sweep.testing.network_contract import NetworkContract as NetworkContract
from sweep.testing.scheduler_contract import SchedulerContract as SchedulerContract
from sweep.testing.searcher_contract import SearcherContract as SearcherContract
from sweep.testing.tracker_contract import TrackerContract as TrackerContract
