"""What every searcher, scheduler and tracker promises, as tests for those that others write.

No test library is imported. A stranger subclasses, and pytest collects the methods:

    class TestMine(SearcherContract):
        make = MySearcher
"""

from sweep.testing.scheduler_contract import SchedulerContract as SchedulerContract
from sweep.testing.searcher_contract import SearcherContract as SearcherContract
from sweep.testing.tracker_contract import TrackerContract as TrackerContract
