"""Another number of flow processes: the states move to the processes that own their partitions from then on."""
