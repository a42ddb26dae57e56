"""The context broker: NGSI-LD and NGSIv2 on one store, in one process."""
